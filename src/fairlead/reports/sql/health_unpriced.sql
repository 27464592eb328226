-- How much of what was used has no known price? A call that failed and used nothing needs none.
select
    count(*) as attempts,
    count(*) filter (not cost_known) as unpriced,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::bigint as tokens,
    sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) filter (not cost_known)::bigint as unpriced_tokens
from attempts
where start_time >= $from and start_time < $until
    and (status = 'ok' or coalesce(input_tokens, 0) + coalesce(output_tokens, 0) > 0)
