-- Which calls are in two sources at once, so that they are counted twice? The response's id is the provider's own.
with shared as (
    select response_id, min(source) as name, max(source) as other, min(cost_usd) as cost_usd
    from attempts
    where response_id is not null and start_time >= $from and start_time < $until
    group by response_id
    having min(source) <> max(source)
)
select name, other, count(*) as calls, sum(cost_usd)::double as cost_usd
from shared
group by name, other
order by calls desc, name, other
limit $top
