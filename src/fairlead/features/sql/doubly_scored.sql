-- What did each judge say where people or tests spoke too? Sums over requests, by the endpoint that answered.
with trusted as (
    select request_id, sum(score * said_weight * kind_weight) / sum(said_weight * kind_weight) as truth
    from evaluator_scores
    where trusted
    group by request_id
),
answered as (
    select final_attempts.request_id, any_value(endpoint) as endpoint
    from final_attempts join attempts using (event_id)
    group by final_attempts.request_id
),
both_said as (
    select judge, any_value(kind_weight) as kind_weight, request_id, avg(score) as score, any_value(truth) as truth
    from evaluator_scores join trusted using (request_id)
    where not evaluator_scores.trusted
    group by judge, request_id
)
select
    judge, coalesce(endpoint, '') as endpoint, any_value(kind_weight) as kind_weight, count(*) as n,
    sum(score) as score, sum(truth) as truth,
    sum(score * score) as score2, sum(truth * truth) as truth2, sum(score * truth) as both_
from both_said left join answered using (request_id)
group by judge, endpoint
order by judge, endpoint
