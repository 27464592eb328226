-- What went wrong, at which provider?
with counted as (
    select
        provider_name as name,
        coalesce(error_class, 'other') as error_class,
        count(*) as errors
    from attempts
    where start_time >= $from and start_time < $until and status = 'error'
    group by all
),
busiest as (
    select provider_name as name, count(*) as attempts
    from attempts
    where start_time >= $from and start_time < $until
    group by name
    order by attempts desc, name
    limit $top
)
select name, attempts, error_class, coalesce(errors, 0) as errors
from busiest left join counted using (name)
order by attempts desc, name, errors desc, error_class
