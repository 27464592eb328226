-- What was spent each day (UTC), and at which endpoints?
with window_attempts as (
    select * from attempts where start_time >= $from and start_time < $until
),
ranked as (
    select endpoint, row_number() over (order by sum(cost_usd) desc nulls last, count(*) desc, endpoint) as place
    from window_attempts
    group by endpoint
)
select
    start_time::date as day,
    least(place, $top + 1) as place,
    any_value(endpoint) filter (place <= $top) as name,
    sum(cost_usd)::double as cost_usd
from window_attempts
join ranked using (endpoint)
group by day, least(place, $top + 1)
order by day, 2
