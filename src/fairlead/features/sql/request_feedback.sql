-- Which request does each scored feedback speak of? A trace may hold several; a conversation names none.
-- What was tried in the shadow was nobody's answer. A preference compares and is no score.
with scored as (
    select * from feedback_scores where score is not null and value_type <> 'preference'
),
answers as (
    select event_id, source_record_id, response_id, trace_id, request_id
    from attempts
    where coalesce(attempt_kind, '') <> 'shadow'
),
found as (
    select * from scored join answers on target_id = event_id where target_kind = 'attempt'
    union all
    select * from scored join answers on target_id = source_record_id where target_kind = 'attempt'
    union all
    select * from scored join answers on target_id = response_id where target_kind = 'response'
    union all
    select * from scored join answers on target_id = trace_id where target_kind = 'trace'
)
select *, target_id as request_id from scored where target_kind = 'request'
union all
select distinct on (feedback_id, request_id) * exclude (event_id, source_record_id, response_id, trace_id) from found
