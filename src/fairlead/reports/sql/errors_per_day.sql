-- How many attempts failed each day (UTC)?
select
    start_time::date as day,
    count(*) as attempts,
    count(*) filter (status = 'error') as errors
from attempts
where start_time >= $from and start_time < $until
group by day
order by day
