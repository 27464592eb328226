"""fairlead as a LiteLLM callback: chooses among a group's deployments, and is told how each call ended.

Name it in config.yaml (`litellm_settings: {callbacks: ["fairlead_litellm.callback"]}`) or, with the SDK's Router,
`litellm.callbacks.append(Fairlead(Advice(...)))`. What decides is set by environment variables; see the README beside.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from litellm.integrations.custom_logger import CustomLogger

from fairlead.scoring.outcome import Outcome
from fairlead.serve.advice import Advice, ask_of

__all__ = ["Fairlead"]

_LOGGED: Final = "spend_logs_metadata"  # what LiteLLM writes into its log of this, `fairlead ingest` reads
_OURS: Final = "fairlead"
_ECHOED: Final = frozenset(
    ("decision_id", "propensity", "policy_id", "policy_version", "is_exploration", "candidates"),
)
_CLASSES: Final = {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limit", 504: "timeout", 400: "invalid_request"}


class Fairlead(CustomLogger):  # type: ignore[misc]  # LiteLLM is not installed where types are checked
    """Leaves one deployment where fairlead decides in time, and all of them where it does not."""

    def __init__(self, advice: Advice) -> None:
        super().__init__()
        self._advice = advice

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[dict[str, Any]],
        messages: list[Any] | None,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[dict[str, Any]]:
        """Give the deployments that LiteLLM may still choose from."""
        try:
            return await self._choose(model, healthy_deployments, messages, request_kwargs)
        except Exception:  # whatever is wrong in here, the call goes on
            return healthy_deployments

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Say how a call went."""
        await self._observe(kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Say how a call failed."""
        await self._observe(kwargs)

    async def _choose(
        self, model: str, deployments: list[dict[str, Any]], messages: Any, kwargs: dict[str, Any] | None
    ) -> list[dict[str, Any]]:
        if not kwargs or not deployments:
            return deployments
        metadata = _metadata(kwargs)
        logged = {name: value for name, value in (metadata.get(_LOGGED) or {}).items() if name not in _ECHOED}
        metadata.pop(_OURS, None)  # of the attempt before, which this one is not
        tags = [str(tag) for tag in metadata.get("tags") or ()]
        request = str(logged.setdefault("request_id", kwargs.get("litellm_trace_id") or uuid.uuid4().hex))
        metadata[_LOGGED] = logged
        named = _named(_allowed(deployments, tags))
        ask = ask_of(
            {**kwargs, "messages": messages or kwargs.get("messages")},
            id=uuid.uuid4().hex,  # each attempt is a decision of its own
            route=_route(tags) or model,
            team=metadata.get("user_api_key_team_id"),
            tags={"key": key[:256]} if isinstance(key := metadata.get("user_api_key_hash"), str) else None,
            conversation=kwargs.get("litellm_session_id"),
            endpoints=tuple(named)[:64],
            want=("metadata",),
        )
        answer = await self._advice.decide(ask) if named else None
        if answer is None or answer.endpoint not in named:
            return deployments
        metadata[_LOGGED] = {**logged, **(answer.metadata or {}), "request_id": request}
        metadata[_OURS] = {"endpoint": answer.endpoint, "request_id": ask.id}
        return named[answer.endpoint]

    async def _observe(self, kwargs: Any) -> None:
        try:
            metadata = _metadata(kwargs.get("litellm_params") or {})
            ours, told = metadata.get(_OURS), kwargs.get("standard_logging_object")
            if ours and told:
                await self._advice.observe(_outcome(ours, told))
        except Exception:  # nobody waits for it, and a log must not fail for it
            return


def _metadata(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Give the metadata that LiteLLM logs, which has another name for some kinds of calls."""
    name = "litellm_metadata" if kwargs.get("litellm_metadata") else "metadata"
    if not isinstance(kwargs.get(name), dict):
        kwargs[name] = {}
    found: dict[str, Any] = kwargs[name]
    return found


def _allowed(deployments: list[dict[str, Any]], tags: list[str]) -> list[dict[str, Any]]:
    """Leave out what LiteLLM's own routing by tags would refuse after us."""
    tagged = [set(one["litellm_params"].get("tags") or ()) for one in deployments]
    if not any(tagged):
        return deployments
    return [one for one, own in zip(deployments, tagged, strict=True) if own & set(tags or ("default",))]


def _named(deployments: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Give the deployments by each name that logs may know them by: their id, or provider and model."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in deployments:
        model, own = one["litellm_params"].get("model"), (one.get("model_info") or {}).get("id")
        for name in dict.fromkeys((own, model)):
            if name:
                found.setdefault(str(name), []).append(one)
    return found


def _route(tags: list[str]) -> str | None:
    return next((tag.partition(":")[2].strip() for tag in tags if tag.startswith("route:")), None)


def _outcome(ours: Mapping[str, Any], told: Mapping[str, Any]) -> Outcome:
    failed = told.get("status") != "success"
    error = told.get("error_information") or {}
    code = str(error.get("error_code") or "")
    number = int(code) if code.isdigit() else 0
    usage = (told.get("metadata") or {}).get("usage_object") or {}
    cached = usage.get("cache_read_input_tokens") or (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    start, end, first = (told.get(name) or 0.0 for name in ("startTime", "endTime", "completionStartTime"))
    return Outcome(
        endpoint=ours["endpoint"],
        request_id=ours["request_id"],
        status="error" if failed else "ok",
        error_class=(_CLASSES.get(number) or ("server" if number >= 500 else "other")) if failed else None,
        duration_s=end - start if end > start else None,
        time_to_first_chunk_s=first - start if told.get("stream") and start < first < end else None,
        input_tokens=None if failed else told.get("prompt_tokens"),
        output_tokens=None if failed else told.get("completion_tokens"),
        cached_tokens=cached,
        cost_usd=None if failed else told.get("response_cost"),
    )


def __getattr__(name: str) -> Any:
    """Make `callback` when the proxy asks for it, of what the environment says."""
    if name != "callback":
        raise AttributeError(name)
    made = globals()["callback"] = Fairlead(Advice.from_environment())
    return made
