-- Which teams spent the money?
with spent as (
    select
        team_id as name,
        sum(cost_usd) as cost_usd,
        count(distinct request_id) as requests,
        count(*) filter (not cost_known) as unpriced
    from attempts
    where start_time >= $from and start_time < $until
    group by name
),
ranked as (
    select *, row_number() over (order by cost_usd desc nulls last, requests desc, name) as place from spent
)
select
    least(place, $top + 1) as place,
    any_value(name) filter (place <= $top) as name,
    count(*) as members,
    sum(cost_usd)::double as cost_usd,
    sum(requests)::bigint as requests,
    sum(unpriced)::bigint as unpriced
from ranked
group by least(place, $top + 1)
order by 1
