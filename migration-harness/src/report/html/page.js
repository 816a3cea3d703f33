
"use strict";
// Draws what the tables can't show. Data becomes text nodes and numbers in attributes, never markup.

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

// ---- elements ----

/** Marks that are not seen, as their codes. */
function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    mark => "\\u{" + mark.codePointAt(0).toString(16) + "}");
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const child of children.flat()) {
    if (child !== null) node.append(child instanceof Node ? child : visible(String(child)));
  }
  return node;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// ---- JSON, laid out without changing a character of its numbers and strings ----

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|([{}[\],:]))/y;
const MAX_DEPTH = 64;

/** Lines of text, each with the place of its value; null for what isn't JSON, or JSON a line. */
function layOut(text) {
  const lines = [];
  let at = 0;

  function next() {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) throw new SyntaxError("no JSON");
    at = TOKEN.lastIndex;
    return { text: found[1] ?? found[2] ?? found[3], isString: found[1] !== undefined, isMark: found[3] !== undefined };
  }
  function peek() {
    const before = at, token = next();
    at = before;
    return token;
  }
  function expect(mark) {
    if (next().text !== mark) throw new SyntaxError("no JSON");
  }
  function value(place, field, head, depth) {
    if (depth > MAX_DEPTH) throw new SyntaxError("too deep");
    const token = next();
    if (!token.isMark) lines.push({ place, field, depth, text: head + token.text, value: token.text });
    else if (token.text === "{") members(place, field, head, depth, "}");
    else if (token.text === "[") members(place, field, head, depth, "]");
    else throw new SyntaxError("no JSON");
  }
  function members(place, field, head, depth, end) {
    lines.push({ place, field, depth, text: head + (end === "}" ? "{" : "[") });
    for (let index = 0; peek().text !== end || peek().isString; index++) {
      if (index > 0) { expect(","); lines[lines.length - 1].text += ","; }
      if (end === "]") { value(`${place}[${index}]`, `${field}[]`, "", depth + 1); continue; }
      const key = next();
      if (!key.isString) throw new SyntaxError("no JSON");
      expect(":");
      const name = memberName(key.text);
      value(join(place, name), join(field, name), key.text + ": ", depth + 1);
    }
    next();
    const last = lines[lines.length - 1];
    if (last.place === place) last.text += end;
    else lines.push({ place, field, depth, text: end });
  }

  try {
    for (let index = 0; text.slice(at).trim() !== ""; index++) value(`#${index}`, "", "", 0);
  } catch {
    return null;
  }
  return lines;
}

/** The name of a member as paths write it. */
function memberName(text) {
  const name = JSON.parse(text);
  return name === "" || /[.[\]"]/.test(name) ? `[${JSON.stringify(name)}]` : name;
}
const join = (place, name) => place === "" || name.startsWith("[") ? place + name : `${place}.${name}`;

// ---- examples ----

/** The lines of a body; marked where the other body differs, and more so in the cluster's field. */
function body(reply, other, field) {
  const text = reply.body ?? "";
  const lines = layOut(text);
  // Where there is no other answer, each line would be marked, which says nothing.
  if (other.status === null) other = reply;
  if (!lines) return make("pre", { class: text === other.body ? "" : "differs" }, text === "" ? "(empty)" : text);
  const others = new Map((layOut(other.body ?? "") ?? []).map(line => [line.place, line]));
  const isField = line => line.field === field || line.field.startsWith(field + ".") || line.field.startsWith(field + "[");
  return make("pre", {}, lines.map(line => {
    const twin = others.get(line.place);
    const differs = !twin || twin.value !== line.value;
    const kind = !differs ? "" : isField(line) ? "differs field" : "differs";
    return make("span", { class: kind }, "  ".repeat(line.depth) + line.text + "\n");
  }));
}

function chips(reply, other) {
  if (other.status === null) other = reply;
  const chip = (value, otherValue) => value === null ? null : make("span", { class: value === otherValue ? "chip" : "chip differs" }, value);
  const took = reply.latency_us === null ? null : make("span", { class: "took" }, time(reply.latency_us));
  return make("p", { class: "chips" }, chip(reply.status, other.status), " ", chip(reply.content_type, other.content_type), " ",
    marks(reply), took);
}

/** What has to be known to read a body. */
function marks(message) {
  const mark = (is, text) => is ? [make("span", { class: "chip" }, text), " "] : [];
  return [...mark(message.encoding === "base64", "base64"), ...mark(message.cut, "cut: its beginning only")];
}

function side(title, reply, other, field) {
  const inside = reply.status === null
    ? [make("pre", { class: "differs field" }, reply.error ?? "no answer")]
    : [chips(reply, other), body(reply, other, field)];
  return make("div", { class: "side" }, make("h4", {}, title), inside);
}

function example(shown) {
  const { request, old, new: reply, curl } = shown.example;
  const line = `${request.method ?? ""} ${request.path ?? ""}`;
  const laidOut = layOut(request.body ?? "");
  const text = laidOut ? laidOut.map(line => "  ".repeat(line.depth) + line.text).join("\n") : request.body ?? "";
  return [
    make("div", { class: "side request" }, make("h4", {}, "Request"),
      make("p", { class: "chips" }, make("span", { class: "chip" }, line), " ",
        make("span", { class: "chip" }, request.content_type ?? "no content type"), " ", marks(request)),
      make("pre", {}, text === "" ? "(empty)" : text)),
    make("div", { class: "sides" }, side("Captured", old, reply, shown.field), side("New", reply, old, shown.field)),
    curl ? command(curl) : null,
  ];
}

function command(curl) {
  const text = make("pre", { tabindex: "0" }, curl);
  const button = make("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    // Where the clipboard is closed to pages, the text is at least selected.
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(curl);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C";
    }
  });
  return make("div", { class: "curl" }, make("h4", {}, "Send it again ", button), text);
}

/** Columns for the powers of ten. */
function histogram(powers) {
  const counts = new Map(Object.entries(powers).map(([power, count]) => [Number(power), count]));
  const first = Math.min(...counts.keys()), last = Math.min(Math.max(...counts.keys()), first + 40);
  const most = Math.max(...counts.values()), step = 46;
  const bars = [];
  for (let power = first; power <= last; power++) {
    const count = counts.get(power) ?? 0, height = count === 0 ? 0 : Math.max(2, 64 * count / most), x = (power - first) * step;
    bars.push(draw("rect", { class: "fill", x: x + 6, y: 82 - height, width: step - 12, height, rx: 2 }));
    if (count > 0) bars.push(draw("text", { class: "label", x: x + step / 2, y: 76 - height, "text-anchor": "middle" }, count.toLocaleString("en")));
    bars.push(draw("text", { class: "tick", x: x + step / 2, y: 98, "text-anchor": "middle" }, `1e${power}`));
  }
  const width = (last - first + 1) * step;
  return draw("svg", { viewBox: `0 0 ${width} 102`, width, height: 102, role: "img", "aria-label": "How many records are how far apart" },
    draw("line", { class: "axis", x1: 0, x2: width, y1: 82, y2: 82 }), bars);
}

function complete(cluster) {
  const shown = data.clusters[cluster.dataset.cluster];
  if (!shown || cluster.dataset.complete) return;
  cluster.dataset.complete = "true";
  if (shown.distances) cluster.querySelector(".distances").append(histogram(shown.distances));
  const place = cluster.querySelector(".example");
  if (shown.example) place.append(...example(shown).filter(part => part !== null));
  else place.append(make("p", {}, "The page holds as many examples as it may; this one is in report.json."));
}

// ---- latency ----

function time(us) {
  if (us < 1e3) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${us < 1e4 ? (us / 1e3).toFixed(1).replace(".0", "") : Math.round(us / 1e3)} ms`;
  return `${us < 1e7 ? (us / 1e6).toFixed(1).replace(".0", "") : Math.round(us / 1e6)} s`;
}

const ROWS = [["captured", "Captured"], ["service", "From the actual send"], ["response", "From the intended send"]];
const ROW_HEIGHT = 76, MARGIN = 12;

/** One curve below the other on one logarithmic axis: equal areas are equally many calls. */
function plot(place) {
  const rows = ROWS.filter(([name]) => data.latency?.[name]?.buckets.length);
  if (rows.length === 0) return;
  const filled = rows.flatMap(([name]) => data.latency[name].buckets).filter(([, count]) => count > 0).map(([upper]) => Math.max(upper, 1));
  if (filled.length === 0) return;
  const low = Math.log10(Math.min(...filled) / 1.6), high = Math.log10(Math.max(...filled) * 1.3);
  const width = Math.max(280, place.clientWidth), height = rows.length * ROW_HEIGHT + 26;
  const x = us => MARGIN + (Math.log10(Math.max(us, 1)) - low) / (high - low) * (width - 2 * MARGIN);
  const parts = axis(low, high, x, height - 26, width);
  rows.forEach(([name, title], row) => parts.push(...curve(data.latency[name], name, title, (row + 1) * ROW_HEIGHT, x, low)));
  place.replaceChildren(draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Distribution of latencies; the table below has its figures" }, parts));
}

function axis(low, high, x, bottom, width) {
  const parts = [];
  const steps = (high - low) * 130 > width ? [1] : [1, 3];
  for (let decade = Math.floor(low); decade <= high; decade++) {
    for (const us of steps.map(step => step * 10 ** decade)) {
      if (Math.log10(us) < low || Math.log10(us) > high || us < 1) continue;
      parts.push(draw("line", { class: "grid", x1: x(us), x2: x(us), y1: 0, y2: bottom }));
      parts.push(draw("text", { class: "tick", x: x(us), y: bottom + 18, "text-anchor": "middle" }, time(us)));
    }
  }
  return parts;
}

function curve(latencies, name, title, bottom, x, low) {
  let before = 10 ** low;
  const points = latencies.buckets.map(([upper, count]) => {
    upper = Math.max(upper, 1);
    const width = Math.max(Math.log10(upper / before), 0.03);
    const point = { from: before, to: upper, density: count / width };
    before = Math.max(before, upper);
    return point;
  });
  const most = Math.max(...points.map(point => point.density), 1e-9);
  let path = `M${x(points[0].from)} ${bottom}`;
  for (const { from, to, density } of points) {
    if (to < 10 ** low) continue;
    const y = bottom - (ROW_HEIGHT - 30) * density / most;
    path += `L${Math.max(x(from), 0)} ${y}L${x(to)} ${y}`;
  }
  path += `L${x(points[points.length - 1].to)} ${bottom}Z`;
  const quantile = (us, label) => [
    draw("line", { class: "quantile", x1: x(us), x2: x(us), y1: bottom - ROW_HEIGHT + 26, y2: bottom }),
    draw("text", { class: "label", x: x(us) + 6, y: bottom - ROW_HEIGHT + 34 }, `${label} ${time(us)}`),
  ];
  return [
    draw("path", { class: `curve ${name}`, d: path }),
    draw("line", { class: "axis", x1: 0, x2: "100%", y1: bottom, y2: bottom }),
    draw("text", { class: `title ${name}`, x: MARGIN, y: bottom - ROW_HEIGHT + 18 }, title),
    ...quantile(latencies.p50_us, "half"), ...quantile(latencies.p99_us, "99 %"),
  ];
}

// ---- sorting, filtering, opening ----

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells], rows = table.tBodies[0];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const isDown = head.getAttribute("aria-sort") !== "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (one, other) => key(one).localeCompare(key(other), "en", { numeric: true }) * (isDown ? -1 : 1);
      const compareNumbers = (one, other) => (Number(key(one)) - Number(key(other))) * (isDown ? -1 : 1);
      const isNumber = [...rows.rows].every(row => row.cells[column].dataset.value !== undefined);
      rows.append(...[...rows.rows].sort(isNumber ? compareNumbers : compare));
    });
  });
}

function makeFilterable(list) {
  const items = [...(list.tBodies?.[0].rows ?? list.children)];
  if (items.length < 6) return;
  const input = make("input", { type: "search", placeholder: list.dataset.filter, "aria-label": list.dataset.filter });
  const found = make("span", { "aria-live": "polite" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const item of items) {
      const text = (item.querySelector("summary") ?? item).textContent.toLowerCase() + clientsOf(item);
      item.hidden = !words.every(word => text.includes(word));
    }
    const left = items.filter(item => !item.hidden).length;
    found.textContent = left === items.length ? "" : `${left} of ${items.length}`;
  });
  const before = list.closest(".scroll") ?? list;
  before.before(make("div", { class: "filter" }, input, found));
}
const clientsOf = item => item.querySelector(".plain")?.textContent.toLowerCase() ?? "";

/** Opens the cluster that the address names. */
function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

for (const cluster of document.querySelectorAll(".cluster")) {
  cluster.addEventListener("toggle", () => complete(cluster));
  if (cluster.open) complete(cluster);
}
document.querySelectorAll(".sortable").forEach(makeSortable);
document.querySelectorAll("[data-filter]").forEach(makeFilterable);
const plots = document.querySelector("[data-plot]");
if (plots) {
  plot(plots);
  addEventListener("resize", () => plot(plots));
}
addEventListener("hashchange", openNamed);
addEventListener("beforeprint", () => document.querySelectorAll("#mismatches .cluster").forEach(cluster => {
  cluster.open = true;
  complete(cluster);
}));
openNamed();
document.documentElement.dataset.ready = "true";
