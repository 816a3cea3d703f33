-- POSTs the lines of a file in turn: wrk ... -s post.lua URL -- PATH CONTENT_TYPE FILE. Ends with one line of JSON.

local requests = {}
local sent = 0

function init(arguments)
  for body in io.lines(arguments[3]) do
    requests[#requests + 1] = wrk.format("POST", arguments[1], {["Content-Type"] = arguments[2]}, body)
  end
end

function request()
  sent = sent + 1
  return requests[sent % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "failed": %d}\n', summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
