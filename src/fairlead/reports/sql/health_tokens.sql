-- Which token counts cannot be, and in which sources?
select
    source as name,
    count(*) as attempts,
    count(*) filter (
        coalesce(cache_read_input_tokens, 0) + coalesce(cache_creation_input_tokens, 0) > input_tokens
    ) as cached_over_input,
    count(*) filter (reasoning_output_tokens > output_tokens) as reasoning_over_output,
    count(*) filter (output_tokens > 1.5 * request_max_tokens + 16) as over_max_tokens,
    count(*) filter (
        status = 'ok' and input_tokens = 0 and output_tokens = 0
        and coalesce(gateway_cache_status, '') not in ('hit', 'semantic_hit')
        and coalesce(operation_name, 'chat') in ('chat', 'text_completion', 'generate_content', 'embeddings')
    ) as none_but_ok,
    count(*) filter (input_tokens + coalesce(output_tokens, 0) > 1.05 * model_context.tokens) as over_context,
    count(*) filter (
        status = 'ok' and output_tokens >= 50 and output_tokens > 5000 * duration_s
        and coalesce(gateway_cache_status, '') not in ('hit', 'semantic_hit')
    ) as too_fast
from attempts left join model_context on lower(coalesce(response_model, request_model)) = model_context.model
where start_time >= $from and start_time < $until
group by name
order by attempts desc, name
