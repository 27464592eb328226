-- Which attempts look like one call stored twice: the same prompt at the same endpoint in the same millisecond?
with prompts as (
    select prompt_sha256, endpoint, source, request_id, start_time, cost_usd,
        lag(start_time) over call as last_start, lag(request_id) over call as last_request
    from attempts
    where prompt_sha256 is not null and start_time >= $from and start_time < $until
    window call as (partition by source, prompt_sha256, endpoint order by start_time, request_id)
)
select source as name, count(*) as doubles, sum(cost_usd)::double as cost_usd
from prompts
where start_time - last_start <= interval 1 millisecond and request_id <> last_request
group by name
order by doubles desc, name
limit $top
