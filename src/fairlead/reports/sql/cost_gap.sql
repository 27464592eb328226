-- How far is the cost that the gateway reported from the cost recomputed from tokens and prices?
select
    provider_name as name,
    count(*) as attempts,
    sum(reported_cost_usd)::double as reported_usd,
    sum(list_cost_usd)::double as recomputed_usd
from attempts
where start_time >= $from and start_time < $until and reported_cost_usd is not null and list_cost_usd is not null
group by name
order by recomputed_usd desc, name
limit $top
