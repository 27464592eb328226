-- How each endpoint did over the last 24 hours.
-- grain: endpoint, as_of
select
    endpoint,
    as_of,
    ln(1 + sum(calls) over day) as calls_day_log,
    sum(errors) over day / nullif(sum(calls) over day, 0) as error_share_day,
    sum(log_duration_sum) over day / nullif(sum(timed) over day, 0) as log_duration_day
from endpoint_hour
window day as (partition by endpoint order by as_of range between interval 23 hours preceding and current row)
