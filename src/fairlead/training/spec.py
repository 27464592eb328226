"""Reads models/*.toml, strictly: one file a predictor."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from fairlead.errors import ModelError

__all__ = ["Gate", "HeadPlan", "Params", "Spec", "of_series", "read", "read_all", "tables_of"]


SERIES: Final = ("forecast", "baseline")  # methods whose files have other keys, see training/series.py


class HeadPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number to predict: which target, and which quantile of it (none: its mean, for quality and failure).

    An optional one is left out where too few rows have its target: not every gateway logs everything.
    """

    name: str
    target: Literal["input_tokens", "output_tokens", "duration_s", "ttft_s", "cost_usd", "quality", "failed"]
    alpha: Annotated[float, Meta(gt=0, lt=1)] | None = None
    optional: bool = False


class Params(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the forests are grown."""

    num_leaves: Annotated[int, Meta(ge=2, le=64)] = 31
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.05
    rounds: Annotated[int, Meta(ge=1, le=5000)] = 250
    min_data_in_leaf: Annotated[int, Meta(ge=1)] = 20
    feature_share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    row_share: Annotated[float, Meta(gt=0, le=1)] = 0.8
    l2: Annotated[float, Meta(ge=0)] = 1.0
    half_life_h: Annotated[float, Meta(gt=0)] = 24.0  # of what is known of failures; for `rates` alone


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new fit must reach to replace the champion."""

    metric: Literal["pinball", "brier", "log_loss"]
    at_most: Annotated[float, Meta(gt=0)] = 1.02


class Spec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One predictor as declared; `name` is the file's.

    `method` "forest" fits a category table and a LightGBM forest, "ensemble", for quality alone, networks beside them.
    """

    features: list[str]
    heads: list[HeadPlan]
    gate: Gate
    method: Literal["forest", "ensemble", "rates"] = "forest"
    params: Params = Params()
    name: str = ""


def read(path: Path) -> Spec:
    """Read one file; ModelError names the file, the key and the way out."""
    try:
        spec = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Spec)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ModelError(f"{path}: not valid TOML ({fault}); correct that line") from fault
    except msgspec.ValidationError as fault:
        raise ModelError(f"{path}: {_hint(str(fault))}") from fault
    if not spec.heads:
        raise ModelError(f"{path}: no heads; name at least one number to predict")
    for place, head in enumerate(spec.heads):
        if head.name in [other.name for other in spec.heads[:place]]:
            raise ModelError(f"{path}: two heads are named {head.name!r}; rename one")
        if (head.target in ("quality", "failed")) != (head.alpha is None):
            raise ModelError(
                f"{path}: head {head.name!r}: quality and failed take no alpha, every other target needs one"
            )
        if (head.target == "failed") != (spec.method == "rates"):
            raise ModelError(f'{path}: head {head.name!r}: `method = "rates"` is for the target failed, and it alone')
        if spec.method == "ensemble" and head.target != "quality":
            raise ModelError(f"{path}: an ensemble predicts quality alone, not {head.target}; leave `method` out")
    return msgspec.structs.replace(spec, name=path.stem)


def read_all(folder: Path) -> list[Spec]:
    """Read every file of the folder, by name; ModelError when there is none."""
    files = sorted(path for path in folder.glob("*.toml") if not of_series(path))
    if not files:
        raise ModelError(f"{folder}: no predictor is declared here; add a TOML file, see {folder / 'README.md'}")
    specs = [read(path) for path in files]
    owner: dict[str, Path] = {}
    for path, head in ((path, head) for path, one in zip(files, specs, strict=True) for head in one.heads):
        if head.name in owner:  # a snapshot holds the heads of all predictors side by side
            raise ModelError(f"{path}: head {head.name!r} is also in {owner[head.name]}; rename one")
        owner[head.name] = path
    return specs


def of_series(path: Path) -> bool:
    """Say whether a file declares a predictor of traffic over time, which `training.series` reads."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")).get("method") in SERIES
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False  # `read` says what is wrong with it


def tables_of(folder: Path) -> frozenset[str]:
    """Name the tables of features/ that any predictor of requests asks for."""
    return frozenset(pattern.partition(".")[0] for one in read_all(folder) for pattern in one.features)


def _hint(fault: str) -> str:
    known = [field.name for kind in (Spec, HeadPlan, Params, Gate) for field in msgspec.structs.fields(kind)]
    for word in fault.split("`"):
        near = difflib.get_close_matches(word, known, n=1)
        if "unknown field" in fault and near and near[0] != word:
            return f"{fault}; did you mean `{near[0]}`?"
    return fault
