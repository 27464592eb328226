-- How far is the logged spend from what the providers say was used, over the spans that they report?
with billed as (
    select provider_name as name, min(bucket_start) as since, max(bucket_end) as until, sum(cost_usd) as billed_usd
    from usage
    where cost_usd is not null and bucket_start >= $from and bucket_end <= $until
    group by name
)
select
    billed.name,
    billed.since,
    billed.until,
    any_value(billed.billed_usd)::double as billed_usd,
    sum(attempts.cost_usd)::double as logged_usd
from billed
left join attempts on attempts.provider_name = billed.name
    and attempts.start_time >= billed.since and attempts.start_time < billed.until
group by billed.name, billed.since, billed.until
order by billed_usd desc, billed.name
limit $top
