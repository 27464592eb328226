-- How far is the reported cost from tokens times price, model by model, and how much of the spend is that?
with compared as (
    select
        coalesce(response_model, request_model, '?') as name,
        count(*) as attempts,
        sum(reported_cost_usd)::double as reported_usd,
        sum(list_cost_usd)::double as recomputed_usd,
        sum(abs(reported_cost_usd - list_cost_usd))::double as apart_usd
    from attempts
    where start_time >= $from and start_time < $until and reported_cost_usd is not null and list_cost_usd is not null
    group by name
)
select *, recomputed_usd / nullif(sum(recomputed_usd) over (), 0) as share,
    abs(reported_usd - recomputed_usd) / nullif(recomputed_usd, 0) as gap
from compared
order by abs(reported_usd - recomputed_usd) desc, name
limit 100
