-- What was each request's score? The weighted mean of everything said about it, 0 to 1.
-- A view that the quality and coverage questions read. Feedback on a whole conversation is left out: it names no request.
with targets as (
    select distinct 'request' as target_kind, request_id as target_id, request_id from attempts
    union
    select 'attempt', event_id, request_id from attempts
    union
    select 'response', response_id, request_id from attempts where response_id is not null
    union
    select 'trace', trace_id, request_id from attempts where trace_id is not null
)
select
    targets.request_id,
    sum(feedback.score_normalized * coalesce(feedback.weight, 1)) / nullif(sum(coalesce(feedback.weight, 1)), 0) as score,
    count(*) as feedbacks
from feedback
join targets using (target_kind, target_id)
where feedback.score_normalized is not null
group by targets.request_id
having score is not null
