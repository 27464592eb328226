-- How many of the window's requests have a label, and what is their mean? While one may still come, it is not missing.
select
    count(*) as requests,
    count(labels.quality) as scored,
    avg(labels.quality) as quality,
    count(*) filter (start_time + maturity <= moment) as mature,
    count(labels.quality) filter (start_time + maturity <= moment) as mature_scored
from requests left join labels using (request_id) cross join label_rules cross join label_horizon
where start_time >= $from and start_time < $until
