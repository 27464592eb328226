-- How alike are the scores of two endpoints on the same prompts? Pairs with at least fifty prompts in common.
with cells as (
    select endpoint, prompt_sha256 as prompt, avg(quality) as score
    from attempts join labels using (request_id)
    where start_time >= $from and start_time < $until and prompt_sha256 is not null and status = 'ok'
    group by endpoint, prompt
),
most as (select endpoint from cells group by endpoint order by count(*) desc, endpoint limit 24),
picked as (select * from cells semi join most using (endpoint)),
pairs as (
    select one.endpoint as one, other.endpoint as other, count(*) as prompts, corr(one.score, other.score) as r
    from picked as one join picked as other on one.prompt = other.prompt and one.endpoint <> other.endpoint
    group by one.endpoint, other.endpoint
    having count(*) >= 50
)
select one as name, count(*) as pairs, median(prompts) as prompts, median(r) as r, min(r) as lowest, max(r) as highest
from pairs
where not isnan(r)
group by name
order by r, name
