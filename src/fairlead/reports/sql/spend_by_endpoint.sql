-- Which endpoints (a model at a provider) was the money spent at?
with spent as (
    select
        endpoint as name,
        any_value(provider_name) as provider,
        sum(cost_usd) as cost_usd,
        count(*) as attempts,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        count(*) filter (not cost_known) as unpriced
    from attempts
    where start_time >= $from and start_time < $until
    group by name
),
ranked as (
    select *, row_number() over (order by cost_usd desc nulls last, attempts desc, name) as place from spent
)
select
    least(place, $top + 1) as place,
    any_value(name) filter (place <= $top) as name,
    any_value(provider) filter (place <= $top) as provider,
    count(*) as members,
    sum(cost_usd)::double as cost_usd,
    sum(attempts)::bigint as attempts,
    sum(input_tokens)::bigint as input_tokens,
    sum(output_tokens)::bigint as output_tokens,
    sum(unpriced)::bigint as unpriced
from ranked
group by least(place, $top + 1)
order by 1
