-- Makes wrk end with what compare.py reads: one line of JSON.
function done(summary)
    local errors = summary.errors
    io.write(string.format('{"requests":%d,"seconds":%.6f,"bad":%d}\n', summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
