-- How many rows does the whole lake hold?
select 'attempts' as name, count(*) as n from attempts
union all select 'requests', count(*) from requests
union all select 'feedback', count(*) from feedback
union all select 'usage', count(*) from usage
union all select 'quarantine', count(*) from quarantine
