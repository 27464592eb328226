-- How long did a successful attempt take at each endpoint, and how long until its first token?
select
    endpoint as name,
    count(*) as n,
    quantile_cont(duration_s, 0.5) as p50_s,
    quantile_cont(duration_s, 0.9) as p90_s,
    quantile_cont(duration_s, 0.99) as p99_s,
    count(time_to_first_chunk_s) as streamed,
    quantile_cont(time_to_first_chunk_s, 0.5) as first_p50_s,
    quantile_cont(time_to_first_chunk_s, 0.9) as first_p90_s
from attempts
where start_time >= $from and start_time < $until and status = 'ok' and duration_s is not null
group by name
order by n desc, name
limit $top
