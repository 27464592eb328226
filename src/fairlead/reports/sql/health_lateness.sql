-- How late is the final word on a request? Only requests whose time for it has passed are counted.
with finals as (
    select source as name, request_id, max(time) as final_at from request_feedback group by source, request_id
),
starts as (
    select request_id, min(start_time) as start_time
    from attempts
    where start_time >= $from and start_time < $until
        and request_id in (select request_id from finals)
    group by request_id
),
late as (
    select name, epoch(final_at) - epoch(start_time) as late_s, epoch(maturity) as maturity_s
    from finals join starts using (request_id) cross join label_rules cross join label_horizon
    where start_time + maturity <= moment
)
select
    name,
    count(*) as labels,
    count(*) filter (late_s <= 3600) / count(*) as within_hour,
    count(*) filter (late_s <= 86400) / count(*) as within_day,
    count(*) filter (late_s <= 7 * 86400) / count(*) as within_week,
    count(*) filter (late_s <= maturity_s) / count(*) as within_maturity,
    count(*) filter (late_s < 0) as before_request
from late
group by name
order by labels desc, name
limit $top
