-- Do a source's newest starts lie a whole number of hours off the moment they were loaded, load after load?
-- An export cut at midnight is always loaded at the same hour and is left out.
with loads as (
    select source as name, ingested_at, max(start_time) as newest
    from attempts
    where start_time >= $from
    group by source, ingested_at
),
measured as (
    select *, (epoch_us(ingested_at) - epoch_us(newest)) / 1e6 as lag_s, round(lag_s / 1800) / 2 as hours
    from loads
),
counted as (
    select
        name, hours, count(*) as loads,
        count(*) filter (
            hours <> 0 and abs(hours) <= 14 and abs(lag_s - 3600 * hours) <= 180
            and extract(hour from newest + interval 10 minutes) * 60
                + extract(minute from newest + interval 10 minutes) >= 10
        ) as off
    from measured
    group by name, hours
)
select name, sum(loads)::bigint as loads, arg_max(hours, off) as hours, max(off) as off
from counted
group by name
having max(off) > 0
order by off desc, name
