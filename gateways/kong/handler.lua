-- fairlead as a Kong plugin: asks /v1/decide for the model of a chat completion, and tells Kong's log of the decision.
-- Copy it and schema.lua to kong/plugins/fairlead/ on the Lua path, and set KONG_PLUGINS=bundled,fairlead.
-- Whatever is wrong, the request goes on as it came.

local cjson = require("cjson.safe")

local MOST_BYTES = 512 * 1024 -- of a body that is looked at
local FAILURES, FIRST_REST_S, LONGEST_REST_S = 3, 0.25, 5
local ECHOED = { "decision_id", "propensity", "policy_id", "policy_version", "is_exploration" }
local CLASSES = { [401] = "auth", [403] = "auth", [408] = "timeout", [429] = "rate_limit", [504] = "timeout" }

local failed, rests_until = 0, 0 -- of this worker

-- Before ai-proxy (770), which reads the model from the body.
local Fairlead = { PRIORITY = 900, VERSION = "0.1.0" }

local function header_of(name)
  return "x-fairlead-" .. name:gsub("_", "-")
end

-- Give where the string that begins at `from` ends.
local function string_end(raw, from)
  local at = from + 1
  while true do
    local found = raw:find('["\\]', at)
    if not found then
      return nil
    end
    if raw:byte(found) == 34 then
      return found
    end
    at = found + 2
  end
end

-- Put a model into a body and leave every other byte: encoding it anew would turn [] into {}.
local function with_model(raw, model)
  local depth, at = 0, 1
  while at <= #raw do
    local char = raw:sub(at, at)
    if char == '"' then
      local last = string_end(raw, at)
      if not last then
        return nil
      end
      local from = depth == 1 and raw:sub(at, last) == '"model"' and raw:match('^%s*:%s*()"', last + 1)
      if from then
        local to = string_end(raw, from)
        return raw:sub(1, from - 1) .. cjson.encode(model) .. raw:sub(to + 1)
      end
      at = last
    elseif char == "{" or char == "[" then
      depth = depth + 1
    elseif char == "}" or char == "]" then
      depth = depth - 1
    end
    at = at + 1
  end
  return nil
end

-- POST JSON and give the decoded answer, all within the time limit.
local function post(conf, path, body)
  ngx.update_time()
  local deadline = ngx.now() * 1000 + conf.timeout_ms
  local socket = ngx.socket.tcp()
  local function within()
    ngx.update_time()
    socket:settimeout(math.max(1, deadline - ngx.now() * 1000))
    return socket
  end
  local ok, fault = within():connect(conf.host, conf.port)
  if ok and conf.tls and socket:getreusedtimes() == 0 then
    ok, fault = within():sslhandshake(nil, conf.host, true)
  end
  if not ok then
    return nil, fault
  end
  local lines = {
    "POST " .. (conf.path or "") .. path .. " HTTP/1.1",
    "host: " .. conf.host .. ":" .. conf.port,
    "content-type: application/json",
    "content-length: " .. #body,
  }
  if conf.key and conf.key ~= "" then
    lines[#lines + 1] = "authorization: Bearer " .. conf.key
  end
  ok, fault = within():send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. body)
  local status = ok and within():receive("*l")
  if not status then
    socket:close()
    return nil, fault or "no answer"
  end
  local length
  repeat
    local line = within():receive("*l")
    length = length or (line and tonumber(line:lower():match("^content%-length:%s*(%d+)")))
  until not line or line == ""
  local answer = length and length <= MOST_BYTES and within():receive(length)
  if not answer then
    socket:close()
    return nil, "not an answer of fairlead"
  end
  socket:setkeepalive(30000, 64)
  if not status:find("^HTTP/1%.[01] 200") then
    return nil, "answered " .. status:sub(10, 12)
  end
  return cjson.decode(answer)
end

local function missed(fault)
  failed = failed + 1
  if failed == FAILURES then
    kong.log.warn("fairlead: no decision (", fault, "); the gateway chooses alone")
  end
  if failed >= FAILURES then
    rests_until = ngx.now() + math.min(LONGEST_REST_S, FIRST_REST_S * 2 ^ math.min(failed - FAILURES, 10))
  end
end

-- Give what is to be decided: the texts of the messages, counts, and what headers say.
local function ask_of(sent)
  local texts, images, turns = {}, 0, 0
  for _, message in ipairs(type(sent.messages) == "table" and sent.messages or {}) do
    turns = turns + (message.role == "user" and 1 or 0)
    local content = message.content
    for _, part in ipairs(type(content) == "table" and content or { { text = content } }) do
      if type(part.text) == "string" then
        texts[#texts + 1] = part.text
      end
      images = images + (part.type == "image_url" and 1 or 0)
    end
  end
  local most = tonumber(sent.max_completion_tokens) or tonumber(sent.max_tokens)
  return {
    id = kong.request.get_header("x-kong-request-id") or ngx.var.request_id,
    text = table.concat(texts, "\n"),
    turn = turns,
    images = images > 0 and images or nil,
    tools = type(sent.tools) == "table" and #sent.tools or nil,
    max_tokens = most and most > 0 and math.floor(most) or nil,
    route = kong.request.get_header("x-fairlead-route"),
    team = kong.request.get_header("x-fairlead-team"),
    conversation = kong.request.get_header("x-fairlead-conversation"),
    want = { "metadata" },
  }
end

local function usable(answer)
  return type(answer) == "table"
    and answer.kind == "policy"
    and type(answer.endpoint) == "string"
    and type(answer.metadata) == "table"
    and type(answer.propensity) == "number"
    and answer.propensity > 0
    and answer.propensity <= 1
end

local function choose(conf)
  -- Nobody but us may say what was decided, or the log would be learned from as it was made up.
  for _, name in ipairs(ECHOED) do
    kong.service.request.clear_header(header_of(name))
  end
  local raw = kong.request.get_raw_body()
  if not raw or #raw > MOST_BYTES or ngx.now() < rests_until then
    return
  end
  local sent = cjson.decode(raw)
  if type(sent) ~= "table" or sent.model ~= conf.asked then
    return
  end
  local ask = ask_of(sent)
  local answer, fault = post(conf, "/v1/decide", cjson.encode(ask))
  if not usable(answer) then
    return missed(fault or "not a decision")
  end
  failed = 0
  local model = (conf.models or {})[answer.endpoint] or answer.endpoint:match("/(.+)$") or answer.endpoint
  local body = with_model(raw, model)
  if not body then
    return
  end
  kong.service.request.set_raw_body(body)
  for _, name in ipairs(ECHOED) do -- in the log alone: the provider need not know
    local value = answer.metadata[name]
    local written = type(value) == "number" and string.format("%.17g", value) or tostring(value)
    kong.log.set_serialize_value("request.headers." .. header_of(name), written)
  end
  ngx.ctx.fairlead = { endpoint = answer.endpoint, request_id = ask.id, at = ngx.now() }
end

function Fairlead:access(conf)
  local ok, fault = pcall(choose, conf)
  if not ok then
    kong.log.warn("fairlead: ", fault)
  end
end

-- Say how the call went: from a timer, because the log phase may not open connections.
function Fairlead:log(conf)
  local call = ngx.ctx.fairlead
  if not call then
    return
  end
  local status = ngx.status
  local outcome = { endpoint = call.endpoint, request_id = call.request_id, duration_s = ngx.now() - call.at }
  outcome.status = status >= 400 and "error" or "ok"
  if status >= 400 then
    outcome.error_class = CLASSES[status] or (status >= 500 and "server" or "invalid_request")
  end
  ngx.timer.at(0, function()
    pcall(post, conf, "/v1/observe", cjson.encode(outcome))
  end)
end

return Fairlead
