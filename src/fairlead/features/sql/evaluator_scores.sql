-- The newest word of each evaluator on each request, and whose habits it shows: a judge is known by its model, what
-- people do (implicit) by its name alone, since one person says too little to be known by.
select
    request_id, feedback_id, time, name, weighed_as, evaluator, score,
    feedback.weight as said_weight,
    coalesce(evaluator_weight.weight, 1) as kind_weight,
    weighed_as in ('human', 'code') as trusted,
    weighed_as || ' ' || name || case when weighed_as = 'llm' then ' ' || evaluator_name else '' end as judge
from (
    select *
    from request_feedback
    qualify row_number() over (
        partition by request_id, weighed_as, evaluator, name order by time desc, feedback_id desc
    ) = 1
) as feedback
left join evaluator_weight using (weighed_as)
where feedback.weight * coalesce(evaluator_weight.weight, 1) > 0
