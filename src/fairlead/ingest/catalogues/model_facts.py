"""What public catalogues say that a model can do: limits and capabilities, each as far as it is said outright."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from fairlead.errors import ReadError
from fairlead.ingest import aliases
from fairlead.ingest.catalogues.common import MODES, Edition, keep, table

__all__ = ["READERS", "Facts", "litellm", "mlflow", "models_dev"]

_LITELLM: Final = {
    "supports_audio_input": "audio",
    "supports_audio_output": "audio_output",
    "supports_computer_use": "computer_use",
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_pdf_input": "pdf",
    "supports_prompt_caching": "prompt_caching",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_video_input": "video",
    "supports_vision": "vision",
    "supports_web_search": "web_search",
}
_MLFLOW: Final = {
    "cap_function_calling": "tools",
    "cap_prompt_caching": "prompt_caching",
    "cap_reasoning": "reasoning",
    "cap_response_schema": "json_schema",
    "cap_vision": "vision",
}
_FLAGS: Final = {"reasoning": "reasoning", "tool_call": "tools", "structured_output": "json_schema"}
_INPUTS: Final = {"audio": "audio", "image": "vision", "pdf": "pdf", "video": "video"}
_OUTPUTS: Final = {"audio": "audio_output", "image": "image_output"}
_MODELS_DEV: Final = {"provider_id", "model_id", "context", "max_input", "max_output", "cache_read",
                      "input_modalities", "output_modalities", *_FLAGS}  # fmt: skip


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What one catalogue says of one model; `says` holds only what it says outright, yes or no."""

    provider_name: str
    model: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    says: dict[str, bool] = {}

    @property
    def key(self) -> tuple[str, str]:
        """What the facts are of: provider and model (lower case)."""
        return self.provider_name, self.model.lower()


def litellm(edition: Edition) -> Iterator[Facts]:
    """Read LiteLLM's map: a capability that is not named is not known, one that is may be denied."""
    try:
        entries = json.loads(edition.path.read_bytes())
    except (OSError, ValueError) as fault:
        raise ReadError(f"{edition.path}: not a JSON file ({fault}); give LiteLLM's price map") from fault
    if not isinstance(entries, dict):
        raise ReadError(f"{edition.path}: not LiteLLM's price map; it must be one object of models")
    # One model may be listed under several spellings; the shortest is the plain one.
    for name in sorted(entries, key=lambda name: (name.startswith("bedrock_mantle"), len(name), name)):
        entry = entries[name]
        if isinstance(entry, dict) and entry.get("mode") in MODES:
            says = {to: entry[of] for of, to in _LITELLM.items() if isinstance(entry.get(of), bool)}
            seller = aliases.provider(str(entry.get("litellm_provider")))
            yield from _facts(seller, name, entry.get("max_input_tokens"), entry.get("max_output_tokens"), says)


def models_dev(edition: Edition) -> Iterator[Facts]:
    """Read models.dev flattened to Parquet: it lists what goes in and out, so what it leaves out is denied."""
    for record in table(edition, _MODELS_DEV):
        inputs, outputs = record["input_modalities"] or (), record["output_modalities"] or ()
        if "text" not in outputs:
            continue
        says = {to: record[of] for of, to in _FLAGS.items() if record[of] is not None}
        says |= {to: of in inputs for of, to in _INPUTS.items()} if inputs else {}
        says |= {to: of in outputs for of, to in _OUTPUTS.items()}
        if record["cache_read"]:
            says["prompt_caching"] = True  # it has a price; without one nothing is said
        seller = _seller(record["provider_id"])
        limit = record["max_input"] or record["context"]
        yield from _facts(seller, record["model_id"], limit, record["max_output"], says)


def mlflow(edition: Edition) -> Iterator[Facts]:
    """Read MLflow's catalogue flattened to Parquet: it writes "no" where its own source says nothing."""
    for record in table(edition, {"provider", "model", "mode", "max_input", "max_output", *_MLFLOW}):
        if record["mode"] in MODES:
            says = {to: True for of, to in _MLFLOW.items() if record[of]}
            seller = aliases.provider(record["provider"])
            yield from _facts(seller, record["model"], record["max_input"], record["max_output"], says)


# The better catalogue first: what it says outright holds against the later ones.
READERS: Final = {"litellm": litellm, "models.dev": models_dev, "mlflow": mlflow}


def _facts(seller: str, name: str, window: Any, output: Any, says: Mapping[str, bool]) -> Iterator[Facts]:
    if not keep(seller, name, media=True):
        return
    _, model = aliases.split(seller, name)
    if model:
        yield Facts(
            provider_name=seller,
            model=model,
            context_window=_count(window),
            max_output_tokens=_count(output),
            says=dict(says),
        )


def _seller(name: str) -> str:
    # models.dev lists the models of one house on Vertex apart.
    return aliases.provider("google-vertex" if name.startswith("google-vertex") else name)


def _count(value: Any) -> int | None:
    # Catalogues write some limits as text or as floats, and 0 or less for "not known".
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found > 0 else None
