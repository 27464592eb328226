-- How each endpoint did, hour by hour; an hour is known once it is over.
-- grain: endpoint, as_of
select
    endpoint,
    date_trunc('hour', as_of - interval 1 minute) + interval 1 hour as as_of,
    sum(minute_calls) as calls,
    sum(minute_errors) as errors,
    sum(minute_log_duration_sum) as log_duration_sum,
    sum(minute_timed) as timed,
    sum(minute_log_ttft_sum) as log_ttft_sum,
    sum(minute_heard) as heard
from endpoint_minute
group by all
