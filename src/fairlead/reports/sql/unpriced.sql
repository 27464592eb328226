-- Which models have no known price, so that their spend is missing from every sum?
select
    provider_name || '/' || coalesce(response_model, request_model, '?') as name,
    count(*) as attempts,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::bigint as tokens
from attempts
where start_time >= $from and start_time < $until and not cost_known
group by name
order by attempts desc, name
limit $top
