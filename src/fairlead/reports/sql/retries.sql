-- How often was a request tried more than once, did that help, and what did the tries in vain cost?
with failures as (
    select sum(cost_usd)::double as failed_cost_usd
    from attempts
    where start_time >= $from and start_time < $until and status = 'error'
)
select
    count(*) as requests,
    count(*) filter (status = 'error') as failed,
    count(*) filter (attempts > 1) as retried,
    count(*) filter (attempts > 1 and status = 'ok') as rescued,
    any_value(failed_cost_usd) as failed_cost_usd
from requests cross join failures
where start_time >= $from and start_time < $until
