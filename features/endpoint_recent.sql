-- How each endpoint did in the last minute, the last five and the last hour.
-- grain: endpoint, as_of
select
    endpoint,
    as_of,
    ln(1 + minute_calls) as calls_minute_log,
    ln(1 + sum(minute_calls) over hour) as calls_hour_log,
    sum(minute_errors) over five / nullif(sum(minute_calls) over five, 0) as error_share_five,
    sum(minute_errors) over hour / nullif(sum(minute_calls) over hour, 0) as error_share_hour,
    sum(minute_limited) over hour / nullif(sum(minute_calls) over hour, 0) as limited_share_hour,
    minute_log_duration_sum / nullif(minute_timed, 0) as log_duration_last,
    sum(minute_log_duration_sum) over hour / nullif(sum(minute_timed) over hour, 0) as log_duration_hour,
    minute_log_ttft_sum / nullif(minute_heard, 0) as log_ttft_last,
    sum(minute_log_ttft_sum) over five / nullif(sum(minute_heard) over five, 0) as log_ttft_five,
    sum(minute_log_ttft_sum) over hour / nullif(sum(minute_heard) over hour, 0) as log_ttft_hour
from endpoint_minute
window
    five as (partition by endpoint order by as_of range between interval 4 minutes preceding and current row),
    hour as (partition by endpoint order by as_of range between interval 59 minutes preceding and current row)
