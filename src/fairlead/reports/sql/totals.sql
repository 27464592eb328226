-- What did the window cost, and how much of it is known?
select
    sum(cost_usd)::double as cost_usd,
    count(*) as attempts,
    count(distinct request_id) as requests,
    count(*) filter (not cost_known) as unpriced,
    count(*) filter (propensity is not null) as with_propensity,
    count(*) filter (status = 'error') as errors,
    quantile_cont(duration_s, 0.9) filter (status = 'ok') as p90_s
from attempts
where start_time >= $from and start_time < $until
