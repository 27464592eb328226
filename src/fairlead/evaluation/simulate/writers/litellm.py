"""LiteLLM's StandardLoggingPayload, key by key, as its logging callback receives it for each try of a request.

A failed try has no tokens and no cost; an unpriced one costs 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fairlead.evaluation.simulate.calls import Asked, Call
from fairlead.evaluation.simulate.failures import Failure
from fairlead.evaluation.simulate.world import Endpoint
from fairlead.evaluation.simulate.writers.carries import Carries

__all__ = ["CARRIES", "write"]

CARRIES: Final = Carries()


def write(asked: Asked, calls: Sequence[Call]) -> Iterator[dict[str, Any]]:
    """Give the records of a request."""
    for call in calls:
        yield _payload(asked, call)


def _payload(asked: Asked, call: Call) -> dict[str, Any]:
    failed = call.failure is not None
    usage = {} if failed else _usage(call)
    cost = call.cost
    status = "failure" if failed else "success"
    record_id = call.id if failed else f"chatcmpl-{call.id}"
    return {
        "id": record_id,
        "litellm_call_id": call.id,
        "trace_id": asked.trace_id,
        "session_id": "",
        "call_type": "acompletion",
        "cache_hit": False if failed or asked.stream else None,
        "stream": True if asked.stream else None,
        "status": status,
        "status_fields": {"llm_api_status": status, "guardrail_status": "not_run"},
        "custom_llm_provider": call.endpoint.provider,
        "saved_cache_cost": 0.0,
        "startTime": call.start,
        "endTime": call.end,
        "completionStartTime": call.first,
        "response_time": round(call.first - call.start, 6),  # LiteLLM's is the first token of a stream
        "model": f"{call.endpoint.provider}/{call.endpoint.model}",
        "metadata": _metadata(asked, usage),
        "cache_key": None,
        "response_cost": cost,
        "cost_breakdown": None if failed else _breakdown(call, cost),
        "autorouter_savings": None,
        "autorouter_savings_estimate": None,
        "autorouter_baseline_observation": None,
        "total_tokens": call.tokens_in + call.tokens_out,
        "prompt_tokens": call.tokens_in,
        "completion_tokens": call.tokens_out,
        "request_tags": ["prod", f"route:{asked.route}"],
        "request_model_access_groups": [],
        "end_user": None,
        "api_base": "",
        "model_group": call.group,
        "model_id": call.endpoint.name,
        "requester_ip_address": None,
        "user_agent": None,
        "messages": asked.messages,
        "response": {} if failed else _response(record_id, call, usage),
        "model_parameters": _parameters(asked),
        "hidden_params": _hidden(asked, call, cost),
        "error_str": f"litellm.{call.failure.kind}: {call.failure.message}" if call.failure else None,
        "error_information": _error(call.endpoint, call.failure),
        "response_cost_failure_debug_info": None,
        "zero_cost_diagnostic": None,
        "guardrail_information": None,
        "standard_built_in_tools_params": {"web_search_options": None, "file_search": None},
    }


def _usage(call: Call) -> dict[str, Any]:
    return {
        "completion_tokens": call.tokens_out,
        "prompt_tokens": call.tokens_in,
        "total_tokens": call.tokens_in + call.tokens_out,
        "completion_tokens_details": None,
        "prompt_tokens_details": None,
    }


def _metadata(asked: Asked, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "user_api_key_hash": asked.key_hash,
        "user_api_key_alias": f"{asked.team}-key",
        "user_api_key_spend": None,
        "user_api_key_max_budget": None,
        "user_api_key_budget_reset_at": None,
        "user_api_key_user_spend": None,
        "user_api_key_user_max_budget": None,
        "user_api_key_team_spend": None,
        "user_api_key_team_max_budget": None,
        "user_api_key_team_id": f"team-{asked.team}",
        "user_api_key_org_id": None,
        "user_api_key_org_alias": None,
        "user_api_key_project_id": None,
        "user_api_key_project_alias": None,
        "user_api_key_user_id": asked.user,
        "user_api_key_team_alias": asked.team,
        "user_api_key_user_email": None,
        "user_api_key_end_user_id": None,
        "user_api_key_request_route": None,
        "spend_logs_metadata": asked.decision,
        "requester_ip_address": None,
        "user_agent": None,
        "requester_metadata": None,
        "prompt_management_metadata": None,
        "applied_guardrails": [],
        "mcp_tool_call_metadata": None,
        "vector_store_request_metadata": None,
        "routing_decision": None,
        "usage_object": usage,
        "requester_custom_headers": None,
        "cold_storage_object_key": None,
        "user_api_key_auth_metadata": None,
        "team_alias": None,
        "team_id": None,
        "used_client_oauth_token": None,
    }


def _breakdown(call: Call, cost: float) -> dict[str, Any]:
    read = round(call.tokens_in * (call.endpoint.input_usd or 0.0) / 1e6, 12) if call.endpoint.priced else 0.0
    return {
        "input_cost": read,
        "output_cost": round(cost - read, 12),
        "total_cost": cost,
        "tool_usage_cost": 0.0,
        "service_tier": None,
        "data_residency": None,
        "vertex_location": None,
        "original_cost": cost,
        "discount_percent": 0.0,
        "discount_amount": 0.0,
        "margin_percent": 0.0,
        "margin_fixed_amount": 0.0,
        "margin_total_amount": 0.0,
    }


def _response(record_id: str, call: Call, usage: dict[str, Any]) -> dict[str, Any]:
    message = {"content": "", "role": "assistant", "tool_calls": None, "function_call": None}
    return {
        "id": record_id,
        "created": int(call.start),
        "model": call.endpoint.model,
        "object": "chat.completion",
        "system_fingerprint": None,
        "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
        "usage": usage,
    }


def _parameters(asked: Asked) -> dict[str, Any]:
    if asked.stream:
        return {"stream": True, "stream_options": {"include_usage": True}, "user": asked.end_user}
    return {"stream": False, "user": asked.end_user}


def _hidden(asked: Asked, call: Call, cost: float) -> dict[str, Any]:
    answered = call.failure is None
    headers = {  # those of a stream are gone by the time it is logged
        "x-litellm-model-group": call.group,
        "x-litellm-attempted-retries": int(call.number == 1),
        "x-litellm-attempted-fallbacks": int(call.number == 2),
    }
    kept = answered and not asked.stream
    return {
        "model_id": call.endpoint.name if answered else None,
        "cache_key": None,
        "api_base": "" if answered else None,
        "response_cost": cost,
        "additional_headers": (headers if kept else {}) if answered else None,
        "litellm_overhead_time_ms": None,
        "batch_models": None,
        "batch_successful_requests": None,
        "batch_failed_requests": None,
        "litellm_model_name": f"{call.endpoint.provider}/{call.endpoint.model}" if kept else None,
        "usage_object": None,
    }


def _error(endpoint: Endpoint, failure: Failure | None) -> dict[str, Any]:
    return {
        "error_code": failure.code if failure else "",
        "error_class": failure.kind if failure else "",
        "llm_provider": endpoint.provider if failure else "",
        "error_message": f"litellm.{failure.kind}: {failure.message}" if failure else "",
        "error_provider_request_id": None,
        "error_rate_limit_category": failure.category if failure else None,
        "error_rate_limit_type": None,
        "error_budget_entity_type": None,
        "error_budget_entity_id": None,
        "error_budget_limit": None,
        "error_budget_spend": None,
        "normalized_error": failure.normalized if failure else None,
    }
