-- Which lines could not be read, why, and where does one find an example?
select
    reason as name,
    count(*) as n,
    max(ingested_at) as last_seen,
    arg_min(file, (file, line)) as file,
    arg_min(line, (file, line)) as line,
    arg_min(detail, (file, line)) as detail
from quarantine
group by name
order by n desc, name
limit $top
