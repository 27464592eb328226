-- How each endpoint did, minute by minute; a minute is known once it is over.
-- grain: endpoint, as_of
select
    endpoint,
    -- The next whole minute, by arithmetic on microseconds: the calendar's functions take as long as all the rest.
    make_timestamptz((epoch_us(start_time) + cast(coalesce(duration_s, 0) * 1e6 as bigint)) // 60000000 * 60000000 + 60000000) as as_of,
    count(*) as minute_calls,
    count(*) filter (status = 'error') as minute_errors,
    count(*) filter (error_class = 'rate_limit') as minute_limited,
    sum(ln(greatest(duration_s, 0.001))) filter (status = 'ok') as minute_log_duration_sum,
    count(duration_s) filter (status = 'ok') as minute_timed,
    sum(ln(greatest(time_to_first_chunk_s, 0.001))) filter (status = 'ok') as minute_log_ttft_sum,
    count(time_to_first_chunk_s) filter (status = 'ok') as minute_heard
from attempts
group by all
