-- POSTs the lines of a file in turn: wrk ... -s post.lua URL -- PATH CONTENT_TYPE FILE [FIRST]. With FIRST,
-- each @@@@@@@@@@@@ in a line becomes a number that no other request has, counted from FIRST.
-- Ends with one line of JSON.

local MARK = "@@@@@@@@@@@@"
local requests = {}
local sent = 0
local first

function init(arguments)
  for body in io.lines(arguments[3]) do
    requests[#requests + 1] = wrk.format("POST", arguments[1], {["Content-Type"] = arguments[2]}, body)
  end
  first = tonumber(arguments[4])
end

function request()
  sent = sent + 1
  local request = requests[sent % #requests + 1]
  return first and (request:gsub(MARK, string.format("%012d", first + sent))) or request
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "failed": %d}\n', summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
