-- wrk's side: POST one body again and again, each time with a new message id, and say in one line
-- of JSON how it went. Arguments: BODY OFFSET SEED AUTHORIZATION; with OFFSET -1 the body stays as it
-- is.

local head, tail, seed
local count = 0

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    local body = file:read("*a")
    local offset = tonumber(arguments[2])
    file:close()
    seed = tonumber(arguments[3])
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["Authorization"] = arguments[4]
    if offset < 0 then
        head, tail = body, nil
    else
        head, tail = body:sub(1, offset), body:sub(offset + 37)
    end
end

function request()
    if not tail then
        return wrk.format(nil, nil, nil, head)
    end
    count = count + 1
    local id = string.format("%08x-0000-4000-8000-%012x", seed, count)
    return wrk.format(nil, nil, nil, head .. id .. tail)
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format(
        '{"requests": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "refused": %d, "broken": %d}',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout))
end
