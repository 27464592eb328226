-- How many attempts came from each source on each day, and how many do on such a day? Days without any count as 0.
with counted as (
    select source as name, start_time::date as day, count(*) as n
    from attempts
    where start_time >= $from and start_time < $until
    group by all
),
spans as (
    select name, min(day) as first_day, max(day) as last_day from counted group by name order by sum(n) desc, name limit $top
),
grid as (
    select name, first_day, last_day, unnest(generate_series(first_day, last_day, interval 1 day))::date as day from spans
),
filled as (
    select grid.*, coalesce(n, 0) as n, isodow(grid.day) > 5 as weekend from grid left join counted using (name, day)
)
select name, day, n, median(n) over (partition by name, weekend) as usual,
    n < 0.25 * usual and usual >= 20 and day > first_day and day < last_day as missing
from filled
order by name, day
