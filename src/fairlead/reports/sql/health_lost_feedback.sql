-- Which feedback names a request that no log holds?
with asked as (
    select feedback_id, source as name
    from feedback_scores
    where score is not null and value_type <> 'preference' and target_kind <> 'conversation'
        and time >= $from and time < $until
),
known as (
    select distinct feedback_id
    from request_feedback
    where request_id in (select request_id from attempts)
)
select name, count(*) as feedback, count(*) filter (feedback_id not in (select feedback_id from known)) as lost
from asked
group by name
order by feedback desc, name
limit $top
