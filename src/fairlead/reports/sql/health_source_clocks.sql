-- By how much do two sources disagree on when the same trace began?
with shared as (
    select trace_id
    from attempts
    where trace_id is not null and start_time >= $from
    group by trace_id
    having min(source) <> max(source)
),
firsts as (
    select trace_id, source, min(start_time) as start_time
    from attempts semi join shared using (trace_id)
    where start_time >= $from
    group by trace_id, source
),
shifts as (
    select one.source as name, other.source as other,
        (epoch_us(other.start_time) - epoch_us(one.start_time)) / 1e6 as shift_s
    from firsts as one join firsts as other on one.trace_id = other.trace_id and one.source < other.source
)
select
    name, other, count(*) as traces, median(shift_s) as shift_s,
    quantile_cont(shift_s, 0.25) as low_s, quantile_cont(shift_s, 0.75) as high_s
from shifts
group by name, other
having count(*) >= 20
order by traces desc, name, other
limit $top
