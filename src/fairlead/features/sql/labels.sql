-- How good was each request, by all that was said of it? One row a request that anything was said of.
-- The newest word of each evaluator counts, weighed by what kind of evaluator it is.
with newest as (
    select *
    from request_feedback
    qualify row_number() over (
        partition by request_id, weighed_as, evaluator, name order by time desc, feedback_id desc
    ) = 1
),
weighed as (
    select newest.*, newest.weight * coalesce(evaluator_weight.weight, 1) as share
    from newest left join evaluator_weight using (weighed_as)
)
select
    request_id,
    sum(score * share) / sum(share) as quality,
    count(*) as feedbacks,
    min(time) as first_at,
    max(time) as final_at
from weighed
where share > 0
group by request_id
