-- How each endpoint did, hour by hour; an hour is known once it is over.
-- grain: endpoint, as_of
select
    endpoint,
    date_trunc('hour', start_time + to_microseconds(cast(coalesce(duration_s, 0) * 1e6 as bigint))) + interval 1 hour as as_of,
    count(*) as calls,
    count(*) filter (status = 'error') as errors,
    sum(ln(greatest(duration_s, 0.001))) filter (status = 'ok') as log_duration_sum,
    count(duration_s) filter (status = 'ok') as timed
from attempts
group by all
