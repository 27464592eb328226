-- What was said of each request, the judges' habits taken out. `measured` may leave 0 to 1, and is right in the mean.
-- `kept` is how much of it is no noise, `weight` how much it tells beside the word of a person or a test.
with plain as (
    select
        scores.*,
        coalesce((score - noise.intercept - coalesce(bias.bias, 0)) / noise.slope, score) as plain,
        said_weight * coalesce(9 * noise.reliability, kind_weight) as counts,
        coalesce(noise.reliability, 1) as kept
    from evaluator_scores as scores
    left join evaluator_noise as noise using (judge)
    left join label_cells as cells using (request_id)
    left join evaluator_bias as bias on bias.judge = scores.judge and bias.endpoint = cells.endpoint
    where coalesce(noise.useful, true)
    -- A judge that is measured by people has nothing to add where they spoke.
    qualify noise.judge is null or not bool_or(scores.trusted) over (partition by request_id)
)
select
    request_id,
    sum(plain * counts) / sum(counts) as measured,
    sum(kept * counts) / sum(counts) as kept,
    least(1, sum(counts) / 9) as weight,
    bool_or(trusted) as trusted,
    count(*) as feedbacks,
    min(time) as first_at,
    max(time) as final_at
from plain
group by request_id
