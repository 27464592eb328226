-- When was each source, model, endpoint, team and kind of feedback seen first and last, and how long are its usual gaps?
-- The usual gap is the longest but one, so that one outage does not stretch it; sixty days are looked at.
with hours as (
    select source, coalesce(response_model, request_model) as model, endpoint, team_id,
        date_trunc('hour', start_time) as hour
    from attempts
    where start_time >= $until - interval 60 days and start_time < $until
    group by all
),
seen as (
    select distinct 'source' as kind, source as name, hour from hours
    union all select distinct 'model', model, hour from hours where model is not null
    union all select distinct 'endpoint', endpoint, hour from hours where endpoint is not null
    union all select distinct 'team', team_id, hour from hours where team_id is not null
    union all
    select distinct 'feedback', source || ' ' || name, date_trunc('hour', time)
    from feedback
    where time >= $until - interval 60 days and time < $until
),
gaps as (
    select *, epoch(hour - lag(hour) over (partition by kind, name order by hour)) / 3600 as gap_h from seen
),
bounds as (select min(hour) as oldest, max(hour) as newest from hours)
select
    kind,
    gaps.name,
    min(hour) as first_seen,
    max(hour) as last_seen,
    count(distinct hour::date) as days,
    count(distinct hour::date) / (date_diff('day', min(hour), max(hour)) + 1) as share_of_days,
    coalesce(max(gap_h, 2)[-1], 1) as usual_gap_h,
    epoch(any_value(newest) - max(hour)) / 3600 as silent_h,
    any_value(oldest) as oldest
from gaps cross join bounds
group by kind, gaps.name
order by kind, gaps.name
