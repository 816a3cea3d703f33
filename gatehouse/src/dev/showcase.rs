//! Moderates the example contents for every client and prints the verdicts as a table.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context;
use deployer::http::{Call, Http, Method};
use serde_json::{Value, json};

use super::router_client::RouterClient;

/// Whose rules are shown side by side.
const CLIENTS: [&str; 3] = ["alehouse", "plainstore", "toybox"];
/// How wide a review's title and a verdict may be.
const TITLE_WIDTH: usize = 34;
const VERDICT_WIDTH: usize = 24;

/// Prints the table, and a command to try next.
pub(super) async fn show(router: &RouterClient, reviews: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(reviews)
        .with_context(|| format!("can't read `{}`", reviews.display()))?;
    let reviews = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let reviews = reviews.context("an example review is no JSON")?;
    let mut table = line("review", CLIENTS);
    for review in &reviews {
        let mut cells = [const { String::new() }; CLIENTS.len()];
        for (cell, client) in cells.iter_mut().zip(CLIENTS) {
            *cell = cell_of(&moderate(router, review, client).await?);
        }
        table += &line(&title(review), cells.each_ref().map(String::as_str));
    }
    let out = &mut io::stdout();
    writeln!(
        out,
        "{table}\n{} reviews, each by the rules of {} clients",
        reviews.len(),
        CLIENTS.len()
    )?;
    writeln!(out, "\nTry one of your own (Ctrl-C stops everything):\n\n{}", curl(&router.url))?;
    Ok(())
}

/// Asks the example of an ONNX model, which no client's rules use.
pub(super) async fn ask_onnx(http: &Http, host: &str) -> anyhow::Result<()> {
    let text = "People like you should not be allowed to buy toys";
    let call = Call {
        method: Method::POST,
        url: format!("{host}/endpoints/hate/invocations"),
        headers: &[("content-type", "application/json")],
        body: Some(&json!({"text": text})),
    };
    let prediction = http.send(call).await?.success("asking the ONNX model `hate`")?;
    let (label, score) = (prediction["label"].as_str(), prediction["score"].as_f64());
    let (label, score) = label.zip(score).context("`hate` answered without a label")?;
    writeln!(io::stdout(), "ONNX model `hate` says of \"{text}\": {label}, {score:.2}\n")?;
    Ok(())
}

async fn moderate(router: &RouterClient, review: &Value, client: &str) -> anyhow::Result<Value> {
    let mut content = review.clone();
    content["client"] = json!(client);
    let headers = &[("content-type", "application/json")];
    let answer = router.ask(Method::POST, "/v1/moderate", headers, Some(&content)).await?;
    Ok(answer.success("moderating an example")?)
}

/// The decision, the rules that made it, and a mark where a model did not answer.
fn cell_of(verdict: &Value) -> String {
    let decision = verdict["decision"].as_str().unwrap_or_default();
    let reasons = verdict["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    let rules: Vec<_> = reasons.iter().filter_map(|reason| reason["rule"].as_str()).collect();
    let degraded = if verdict["degraded"] == true { " (degraded)" } else { "" };
    format!("{decision}{degraded} {}", rules.join(", "))
}

/// The title, or the beginning of the text, on one line.
fn title(review: &Value) -> String {
    let text = |name: &str| review["fields"][name].as_str().filter(|text| !text.is_empty());
    let title = text("title").or_else(|| text("text")).unwrap_or("(empty)");
    title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn line(title: &str, cells: [&str; CLIENTS.len()]) -> String {
    let mut line = cut(title, TITLE_WIDTH);
    for cell in cells {
        // Writing to a string can't fail.
        let _ = write!(line, "  {}", cut(cell, VERDICT_WIDTH));
    }
    format!("{}\n", line.trim_end())
}

/// Exactly `width` characters: padded, or cut off with an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

fn curl(router: &str) -> String {
    let content = json!({"client": "toybox", "content_id": "r-1", "fields": {"text": "Goes well with a cold beer."}});
    format!("curl -s {router}/v1/moderate -H 'content-type: application/json' -d '{content}'")
}
