-- What the caller tells us before we choose, taken at the door.
-- grain: event_id
with shared as ( -- some gateways log the request apart from its attempts
    select source, request_id, any_value(struct_pack(route, tools, toolset, response_format, images, turn, text)) as shape
    from request_features
    where event_id not in (select event_id from attempts)
    group by all
)
select
    attempts.event_id,
    attempts.start_time as as_of,
    coalesce(own.route, shared.shape.route, attempts.route) as route,
    attempts.team_id as team,
    coalesce(attempts.agent_name, attempts.service_name) as app,
    attempts.api_key_id as key,
    attempts.prompt_name as template,
    coalesce(own.tools, shared.shape.tools) as tools,
    coalesce(own.toolset, shared.shape.toolset) as toolset,
    coalesce(own.response_format, shared.shape.response_format) as response_format,
    coalesce(own.images, shared.shape.images) as images,
    coalesce(own.turn, shared.shape.turn) as turn,
    attempts.request_max_tokens as max_tokens,
    cast(epoch_us(attempts.start_time) // 3600000000 % 24 as smallint) as hour, -- in UTC
    coalesce(own.text, shared.shape.text) as text
from attempts
left join request_features as own using (event_id)
left join shared on shared.source = attempts.source and shared.request_id = attempts.request_id
