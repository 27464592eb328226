-- How good were the answers on each route, by the feedback that came back? With 95 % Wilson intervals.
with routes as (
    select request_id, any_value(route) as name from request_features group by request_id
),
scored as (
    select name, avg(score) as quality, count(*) as n
    from requests join scores using (request_id) left join routes using (request_id)
    where start_time >= $from and start_time < $until
    group by name
)
select
    name,
    n,
    quality,
    greatest(0, (quality + 1.9208 / n - 1.96 * sqrt(quality * (1 - quality) / n + 0.9604 / n / n)) / (1 + 3.8416 / n)) as low,
    least(1, (quality + 1.9208 / n + 1.96 * sqrt(quality * (1 - quality) / n + 0.9604 / n / n)) / (1 + 3.8416 / n)) as high
from scored
order by n desc, name
limit $top
