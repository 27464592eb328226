-- Which lines could not be read, why, and where do the newest of them stand?
select
    reason as name,
    count(*) as n,
    max(ingested_at) as last_seen,
    arg_max({'file': file, 'line': line, 'detail': detail}, (ingested_at, file, line), 3) as newest,
    count(*) filter (detail ilike '%duration%' or detail ilike '%end%before%') as before_start
from quarantine
group by name
order by n desc, name
limit $top
