"""A small record of each log format that fairlead knows, of our own making: only the shape is right.

A reader must say no to all of them but its own.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["SHAPES"]

_TIME: Final = "2026-01-01T00:00:00Z"


def _spans(scope: str, **attributes: str) -> dict[str, Any]:
    """Give an OTLP document with one span."""
    given = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
    span = {"traceId": "aa", "spanId": "bb", "name": "chat", "startTimeUnixNano": "1", "attributes": given}
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": scope}, "spans": [span]}]}]}


SHAPES: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "litellm_payload": (
        {"id": "1", "litellm_call_id": "1", "startTime": 1.0, "response_cost": 0.1, "status": "success"},
    ),
    "litellm_spendlogs": ({"request_id": "1", "startTime": _TIME, "spend": 0.1, "metadata": "{}"},),
    "fairlead": (
        {
            "fairlead": "decision",
            "time": _TIME,
            "decision_id": "1",
            "request_id": "1",
            "endpoint": "a",
            "propensity": 0.5,
        },
        {"fairlead": "feedback", "time": _TIME, "id": "1", "target_id": "1", "name": "thumb", "score": True},
    ),
    "otlp": (_spans("opentelemetry.instrumentation.openai_v2", **{"gen_ai.system": "openai"}),),
    "openinference": (_spans("openinference.instrumentation.openai", **{"openinference.span.kind": "LLM"}),),
    "langfuse": (
        {"id": "1", "trace_id": "1", "type": "GENERATION", "start_time": _TIME, "usage_details": {"input": 1}},
        {"id": "1", "trace_id": "1", "name": "helpful", "value": 1, "data_type": "NUMERIC", "source": "API"},
    ),
    "mlflow_traces": ({"info": {"trace_id": "tr-1", "state": "OK", "assessments": []}, "data": {"spans": []}},),
    "tensorzero": (
        {"id": "1", "inference_id": "1", "model_name": "m", "model_provider_name": "p", "input_tokens": 1},
        {"id": "1", "function_name": "f", "variant_name": "v", "episode_id": "1", "processing_time_ms": 1},
        {"id": "1", "target_id": "1", "metric_name": "good", "value": True},
    ),
    "helicone": ({"request_id": "1", "request_created_at": _TIME, "provider": "OPENAI", "latency": 1, "cost": 1},),
    "portkey": (
        {"request": {"url": "u"}, "response": {"status": 200}, "metrics": {}, "trace_id": "1"},
        {"id": "1", "ai_org": "openai", "ai_model": "m", "response_status_code": 200, "created_at": _TIME},
        {"trace_id": "1", "value": 1, "weight": 1},
    ),
    "openrouter": (
        {"data": {"id": "gen-1", "native_tokens_prompt": 1, "total_cost": 0.1, "provider_responses": []}},
        {"date": "2026-01-01", "model_permaslug": "m", "endpoint_id": "1", "usage": 0.1, "byok_usage_inference": 0},
    ),
    "bifrost": ({"id": "1", "provider": "openai", "model": "m", "number_of_retries": 0, "fallback_index": 0},),
    "kong": ({"ai": {"proxy": {"usage": {"total_tokens": 1}, "meta": {}}}, "started_at": 1, "latencies": {}},),
    "envoy": ({"start_time": _TIME, "response_code": 200, "gen_ai.request.model": "m", "response_flags": "-"},),
    "cloudflare": (
        {
            "id": "1",
            "created_at": _TIME,
            "provider": "openai",
            "model": "m",
            "step": 0,
            "tokens_in": 1,
            "cached": False,
        },
    ),
    "cloudflare_logpush": (
        {"Datetime": _TIME, "Cached": False, "Gateway": "g", "Model": "m", "Provider": "openai", "StatusCode": 200},
    ),
    "bedrock": (
        {
            "schemaType": "ModelInvocationLog",
            "requestId": "1",
            "modelId": "m",
            "timestamp": _TIME,
            "operation": "Converse",
        },
    ),
    "azure_openai": (
        {
            "category": "RequestResponse",
            "operationName": "ChatCompletions_Create",
            "properties": {},
            "resourceId": "/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/A",
            "time": _TIME,
        },
    ),
    "vertex": ({"logging_time": _TIME, "api_method": "GenerateContent", "full_request": {}, "request_id": "1"},),
    "databricks": (
        {"event_time": _TIME, "request_id": "1", "endpoint_name": "e", "requester": "r", "destination_model": "m"},
    ),
    "sglang": ({"request_parameters": "{}", "id": "1", "finish_reason": {"type": "stop"}, "e2e_latency": 1.0},),
    "vllm": ({"vllm_line": "received", "id": "1", "time": "01-01 00:00:00"},),
    "openai_usage": (
        {"object": "page", "data": [{"object": "bucket", "start_time": 1, "end_time": 2, "results": []}]},
        {"object": "organization.costs.result", "amount": {"value": 1, "currency": "usd"}, "line_item": "m, input"},
    ),
}
