-- What does each source's clock say beside ours: starts ahead of their ingestion, and how late rows come in?
with timed as (
    select
        source as name,
        epoch_us(ingested_at) - epoch_us(start_time) as since_start_us,
        epoch_us(ingested_at) - epoch_us(start_time) - 1e6 * coalesce(duration_s, 0) as lag_us,
        time_to_first_chunk_s > duration_s + 0.01 or upstream_duration_s > duration_s + 0.01 as part_after_end
    from attempts
    where start_time >= $from
)
select
    name,
    count(*) as attempts,
    count(*) filter (since_start_us < 0 and since_start_us >= -300e6) as ahead_a_little,
    count(*) filter (since_start_us < -300e6) as ahead,
    -min(since_start_us) / 1e6 as furthest_ahead_s,
    count(*) filter (part_after_end) as part_after_end,
    approx_quantile(lag_us / 1e6, 0.5) as p50_s,
    approx_quantile(lag_us / 1e6, 0.9) as p90_s,
    approx_quantile(lag_us / 1e6, 0.99) as p99_s
from timed
group by name
order by attempts desc, name
limit $top
