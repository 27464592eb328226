-- How many rows does each table show, with every row in its newest version?
select 'attempts' as name, count(*) as n from attempts
union all select 'request_features', count(*) from request_features
union all select 'feedback', count(*) from feedback
union all select 'decisions', count(*) from decisions
union all select 'usage', count(*) from usage
union all select 'quarantine', count(*) from quarantine
