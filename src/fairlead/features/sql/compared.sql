-- Which endpoints' answers were compared, and which was preferred? 1: the one, 0: the other, 0.5: neither.
with answers as (
    select final_attempts.request_id, event_id, endpoint, response_id, source_record_id
    from final_attempts join attempts using (event_id)
),
named as (
    select request_id as id, endpoint from answers
    union select event_id, endpoint from answers
    union select response_id, endpoint from answers where response_id is not null
    union select source_record_id, endpoint from answers where source_record_id is not null
),
places as (select id, any_value(endpoint) as endpoint from named group by id having count(distinct endpoint) = 1)
select one.endpoint as one, other.endpoint as other, outcome
from preferences
join places as one on one.id = target_id
join places as other on other.id = other_target_id
order by one, other, outcome
