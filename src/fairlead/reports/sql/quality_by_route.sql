-- How good were the answers on each route, by the feedback that came back? With 95 % Wilson intervals.
with scored as (
    select route as name, avg(labels.quality) as quality, count(*) as n
    from requests join labels using (request_id)
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
