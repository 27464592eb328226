-- Which of two answers was preferred? 1: the target, 0: the other, 0.5: neither.
select feedback_id, source, time, name, target_kind, target_id, other_target_id, evaluator_kind, weight, score as outcome
from feedback_scores
where value_type = 'preference' and score is not null and other_target_id is not null
