"""A trained predictor as data: what the registry keeps and what publish reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import lightgbm as lgb
import msgspec
import numpy as np
from msgspec import Struct, field
from safetensors.numpy import load_file, save_file

from fairlead.errors import ModelError, SnapshotRefusedError
from fairlead.scoring.manifest import Column
from fairlead.scoring.parts import Parts, from_arrays, to_arrays
from fairlead.scoring.request import FEATURE_VERSION
from fairlead.scoring.table import CategoryTable
from fairlead.training.fit import FittedHead
from fairlead.training.frame import Frame
from fairlead.training.quality.replay import blended
from fairlead.training.spec import HeadPlan, Spec

__all__ = ["TrainedHead", "TrainedPredictor", "collect", "own_predictions", "read", "write"]

Array = np.ndarray[Any, Any]
_OOF_ROWS: Final = 50_000  # out-of-fold rows kept with a predictor, newest first


def _nothing() -> Array:
    return np.zeros(0)


class TrainedHead(Struct, kw_only=True, omit_defaults=True):
    """One fitted number: link-space arrays, the booster's text, and its out-of-fold predictions (rows, K)."""

    plan: HeadPlan
    link: Literal["exp", "sigmoid"]
    serve: Literal["forest", "table"]
    trees: int
    metrics: dict[str, float]
    booster: str = ""
    table: Array = field(default_factory=_nothing)
    offset: Array = field(default_factory=_nothing)
    scale: Array = field(default_factory=_nothing)
    oof: Array = field(default_factory=_nothing)
    oof_ids: list[str] = field(default_factory=list)
    reason: str = ""
    parts: Parts | None = None  # networks beside the forest, for quality


class TrainedPredictor(Struct, kw_only=True):
    """A predictor's heads, and the vocabulary that their arrays are indexed by."""

    spec: Spec
    feature_version: int
    trained_from: float
    trained_until: float
    rows: int
    columns: list[Column]
    categories: dict[str, list[str]]
    endpoints: list[str]
    providers: list[str]
    models: list[str]
    heads: list[TrainedHead]
    endpoint_rows: Array = field(default_factory=_nothing)
    margin_edges: Array | None = None
    margins: Array | None = None
    reference: Array | None = None  # the typical request (columns,), for explanations

    @property
    def signature(self) -> str:
        """Text that is equal for predictors that can be published side by side."""
        parts = (self.feature_version, self.columns, self.categories, self.endpoints, self.models)
        return msgspec.json.encode(parts, order="sorted").decode()


def collect(frame: Frame, spec: Spec, heads: list[FittedHead], margins: tuple[Array, Array] | None) -> TrainedPredictor:
    """Put fitted heads and the frame's vocabulary together."""
    return TrainedPredictor(
        spec=spec,
        feature_version=FEATURE_VERSION,
        trained_from=float(frame.time.min()),
        trained_until=float(frame.time.max()),
        rows=len(frame),
        columns=frame.columns,
        categories=frame.categories,
        endpoints=list(frame.endpoints),
        providers=list(frame.providers),
        models=list(frame.models),
        heads=[_head(frame, head) for head in heads],
        endpoint_rows=frame.endpoint_rows(),
        margin_edges=margins[0] if margins else None,
        margins=margins[1] if margins else None,
        reference=frame.typical(),
    )


def own_predictions(predictor: TrainedPredictor, head: TrainedHead, frame: Frame) -> Array:
    """Predict each row at the endpoint that served it, in link space: (n,)."""
    value: Array = CategoryTable(values=head.table).lookup(frame.route)[np.arange(len(frame)), frame.endpoint]
    if head.serve == "forest":
        value = value + lgb.Booster(model_str=head.booster).predict(frame.rows(), raw_score=True)
        value = value + head.offset[frame.endpoint]
    if head.parts is not None and head.parts.dense is not None:
        value = blended(value, head.serve == "forest", head.parts, frame)
    return value


def write(predictor: TrainedPredictor, folder: Path) -> None:
    """Write a predictor's files: JSON, arrays, and one LightGBM text a forest."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Array] = {}
    for name in ("endpoint_rows", "margin_edges", "margins", "reference"):
        if getattr(predictor, name) is not None:
            arrays[name] = np.ascontiguousarray(getattr(predictor, name), dtype=np.float64)
    for head in predictor.heads:
        for part in ("table", "offset", "scale", "oof"):
            kind = np.float32 if part == "oof" else np.float64
            arrays[f"{head.plan.name}.{part}"] = np.ascontiguousarray(getattr(head, part), dtype=kind)
        if head.parts is not None:
            arrays |= {f"{head.plan.name}.parts.{key}": array for key, array in to_arrays(head.parts).items()}
        (folder / f"{head.plan.name}.lgb.txt").write_text(head.booster, encoding="utf-8")
    save_file(arrays, folder / "arrays.safetensors")
    plain = msgspec.to_builtins(predictor, enc_hook=lambda _array: None)  # arrays have a file of their own
    (folder / "predictor.json").write_bytes(msgspec.json.encode(_without_arrays(plain)))


def read(folder: Path) -> TrainedPredictor:
    """Read a predictor's files; ModelError names the one that is off."""
    try:
        predictor = msgspec.json.decode((folder / "predictor.json").read_bytes(), type=TrainedPredictor)
        arrays = load_file(folder / "arrays.safetensors")
        for name in ("endpoint_rows", "margin_edges", "margins", "reference"):
            setattr(predictor, name, arrays.get(name))
        for head in predictor.heads:
            head.booster = (folder / f"{head.plan.name}.lgb.txt").read_text(encoding="utf-8")
            for part in ("table", "offset", "scale", "oof"):
                setattr(head, part, arrays[f"{head.plan.name}.{part}"])
            mine = f"{head.plan.name}.parts."
            own = {key.removeprefix(mine): array for key, array in arrays.items() if key.startswith(mine)}
            if own:
                sizes = (len(predictor.endpoints), len(predictor.columns))
                head.parts = from_arrays(own, *sizes, str(folder), len(predictor.categories.get("route", [])))
    except (OSError, msgspec.MsgspecError, KeyError, SnapshotRefusedError) as fault:
        raise ModelError(f"{folder}: the registered predictor cannot be read ({fault}); train again") from fault
    return predictor


def _without_arrays(plain: dict[str, Any]) -> dict[str, Any]:
    heads = [
        {k: v for k, v in head.items() if v is not None and k not in ("booster", "parts")} for head in plain["heads"]
    ]
    return {**{k: v for k, v in plain.items() if v is not None}, "heads": heads}


def _head(frame: Frame, head: FittedHead) -> TrainedHead:
    newest = np.sort(np.argsort(frame.time[head.rows], kind="stable")[-_OOF_ROWS:])
    return TrainedHead(
        plan=head.plan,
        link=head.link,
        serve=head.serve,
        trees=head.trees,
        metrics=head.metrics,
        booster=head.booster,
        table=head.table,
        offset=head.offset,
        scale=head.scale,
        oof=head.oof[newest],
        oof_ids=[str(name) for name in frame.ids[head.rows][newest]],
        reason=getattr(head, "reason", ""),
        parts=getattr(head, "parts", None),
    )
