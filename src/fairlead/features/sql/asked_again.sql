-- Was a request asked again, word for word and by the same caller, soon after it began? Feedback that nobody gave.
-- A row is known once the same was asked again, or once the time for it has passed.
with asked as (
    select
        request_id,
        any_value(source) as source,
        min(start_time) as start_time,
        any_value(coalesce(end_user_id, user_id)) as caller,
        any_value(prompt_sha256) as prompt
    from attempts
    where prompt_sha256 is not null and coalesce(end_user_id, user_id) is not null
        and coalesce(attempt_kind, '') <> 'shadow'
    group by request_id
),
followed as (
    select *, lead(start_time) over (partition by caller, prompt order by start_time, request_id) as next_start
    from asked
),
judged as (
    select *, next_start <= start_time + label_rules.asked_again as again, start_time + label_rules.asked_again as over_at
    from followed cross join label_rules
)
select
    'asked_again:' || request_id as feedback_id,
    source,
    request_id as target_id,
    case when again then next_start else over_at end as time,
    case when again then 0.0 else 1.0 end as score
from judged cross join label_horizon
where again or over_at <= label_horizon.moment
