-- How many of the window's requests have any score at all, and what is their mean?
select
    count(*) as requests,
    count(score) as scored,
    avg(score) as quality
from requests left join scores using (request_id)
where start_time >= $from and start_time < $until
