"""A predictor as an entry of the registry, with a card that a person can read."""

from __future__ import annotations

from functools import partial

from fairlead.training import predictor as files
from fairlead.training.entry import Entry, Rows, Signature
from fairlead.training.predictor import TrainedHead, TrainedPredictor

__all__ = ["card_of", "entry_of"]


def entry_of(predictor: TrainedPredictor, rows: Rows, reason: str) -> Entry:
    """Give what the registry keeps of a predictor."""
    used = [column for column in predictor.columns if column.owner != "endpoint" or column.name == "endpoint"]
    outputs = tuple((head.plan.name, "number") for head in predictor.heads)
    return Entry(
        name=predictor.spec.name,
        write=partial(files.write, predictor),
        params=_params(predictor),
        metrics={f"{head.plan.name}.{key}": value for head in predictor.heads for key, value in head.metrics.items()},
        card=card_of(predictor, rows, reason),
        rows=rows,
        signature=Signature(inputs=tuple((column.name, column.kind) for column in used), outputs=outputs),
    )


def card_of(predictor: TrainedPredictor, rows: Rows, reason: str) -> str:
    """Write a predictor's model card (Mitchell et al. 2019) as Markdown."""
    lines = [
        f"# {predictor.spec.name}",
        "",
        f"Gate: {reason}.",
        "",
        "| number | target | quantile | served by | loss | category table | endpoint mean | gain over table, 95 % |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(head) for head in predictor.heads),
        "",
        "Losses are out of fold, on prompts never learned from: pinball of the logarithm, or Brier for quality.",
        "",
        "## Learned from",
        f"- {rows.count:,} attempts at {len(predictor.endpoints)} endpoints, started before {rows.until or 'the end'}",
        f"- the lake as of {rows.as_of}, loads until {rows.ingested_until}; ids {rows.digest[:16]}",
        f"- features: {', '.join(predictor.spec.features)}",
        *(f"- {part}" for head in predictor.heads for part in head.reason.split("; ") if part),
        "",
        "## Not for",
        "- endpoints, routes and teams that are not in these rows: a route never seen has the endpoint's mean",
        "- comparing models in general: these are this gateway's requests",
    ]
    return "\n".join(lines) + "\n"


def _row(head: TrainedHead) -> str:
    seen = head.metrics
    numbers = [f"{seen[key]:.4g}" if key in seen else "" for key in ("loss_served", "loss_table", "loss_endpoint_mean")]
    gain = f"{seen['gain_low']:+.3g} to {seen['gain_high']:+.3g}" if "gain_low" in seen else ""
    alpha = "mean" if head.plan.alpha is None else f"{head.plan.alpha:g}"
    return f"| {' | '.join([head.plan.name, head.plan.target, alpha, head.serve, *numbers, gain])} |"


def _params(predictor: TrainedPredictor) -> dict[str, str | int | float]:
    shape = {"rows": predictor.rows, "endpoints": len(predictor.endpoints), "columns": len(predictor.columns)}
    grown = {f: getattr(predictor.spec.params, f) for f in predictor.spec.params.__struct_fields__}
    served = {f"{head.plan.name}.serve": head.serve for head in predictor.heads}
    return {"method": predictor.spec.method, **shape, **grown, **served}
