-- What is each feedback worth, 0 to 1? Its source's word, else the project's for its label, else its place on the
-- range that its source had shown for that name until then, which two numbers do not make yet.
with ranges as (
    select source, name, min(score_value) as low, max(score_value) as high
    from feedback
    where value_type = 'numeric' and score_normalized is null
    group by source, name
    having count(distinct score_value) > 2
)
select
    feedback_id, feedback.source, time, target_kind, target_id, other_target_id, feedback.name, value_type,
    evaluator_kind, coalesce(evaluator_id, evaluator_model, feedback_id) as evaluator,
    coalesce(evaluator_model, evaluator_id, '') as evaluator_name, evaluator_kind as weighed_as,
    coalesce(weight, 1) as weight,
    coalesce(
        label_map.score,
        score_normalized,
        case when value_type = 'numeric' then (score_value - ranges.low) / (ranges.high - ranges.low) end
    ) as score
from feedback
left join label_map on feedback.name = label_map.name and feedback.score_label = label_map.label
left join ranges on feedback.source = ranges.source and feedback.name = ranges.name
union all
select
    feedback_id, source, time, 'request', target_id, null, 'asked_again', 'boolean',
    'implicit', 'fairlead', 'fairlead', 'asked_again', 1, score
from asked_again
where exists (from evaluator_weight where weighed_as = 'asked_again' and weight > 0)
