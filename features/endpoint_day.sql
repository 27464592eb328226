-- How each endpoint did over the last 24 hours, and at this time of the day before.
-- grain: endpoint, as_of
select
    endpoint,
    as_of,
    ln(1 + sum(calls) over day) as calls_day_log,
    sum(errors) over day / nullif(sum(calls) over day, 0) as error_share_day,
    sum(log_duration_sum) over day / nullif(sum(timed) over day, 0) as log_duration_day,
    sum(log_ttft_sum) over day / nullif(sum(heard) over day, 0) as log_ttft_day,
    -- The hour that begins now, as it was yesterday: load follows the clock.
    sum(log_duration_sum) over yesterday / nullif(sum(timed) over yesterday, 0) as log_duration_yesterday
from endpoint_hour
window
    day as (partition by endpoint order by as_of range between interval 23 hours preceding and current row),
    yesterday as (partition by endpoint order by as_of range between interval 23 hours preceding and interval 23 hours preceding)
