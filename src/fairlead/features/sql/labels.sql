-- How good was each request, by all that was said of it? One row a request that anything was said of.
-- The newest word of each evaluator counts, weighed by what kind of evaluator it is, or by how far it was seen to agree
-- with people and tests. `quality` is `measured` drawn to what is usual of its route and endpoint by as much as the
-- judges are noise: the mean of what is likely, given all that is known (Raykar et al. 2010, in its linear form).
select
    request_id,
    greatest(0, least(1, coalesce(usual + kept * (measured - usual), measured))) as quality,
    measured, weight, trusted, feedbacks, first_at, final_at
from measured_labels left join label_usual using (request_id)
