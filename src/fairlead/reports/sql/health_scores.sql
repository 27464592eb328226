-- What was said of each request by each source of feedback, beside its endpoint, prompt, route and day?
with said as (
    select request_id, source, avg(score) as score from request_feedback group by request_id, source
),
answers as (
    select request_id, epoch_us(min(start_time)) as start_us, min(start_time)::date as day, arg_max(endpoint, start_time) as endpoint,
        any_value(prompt_sha256) as prompt
    from attempts
    where start_time >= $from and start_time < $until and status = 'ok' and coalesce(attempt_kind, '') <> 'shadow'
        and request_id in (select request_id from said)
    group by request_id
),
routes as (
    select request_id, any_value(route) as route
    from request_features
    where request_id in (select request_id from said)
    group by request_id
)
select request_id, source, score, start_us, day::varchar as day, endpoint, hex(prompt) as prompt, route
from said join answers using (request_id) left join routes using (request_id)
order by hash(request_id), source
limit 60000
