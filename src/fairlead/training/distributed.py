"""The same heads on several machines: the forest is grown by `lightgbm.dask` on partitions of the rows.

For when one machine is outgrown; needs the extra `distributed`. Tables, offsets and the choice of forest or table are
taken from a sample of whole prompts on this machine, by the code that `train` runs; the forest that is served then
learns from every partition. What comes out is a head like any other: same arrays, same model text, same checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import numpy as np

from fairlead.errors import ModelError
from fairlead.training import fit, tables
from fairlead.training.fit import FittedHead, fit_head
from fairlead.training.forest import settings_of
from fairlead.training.frame import Frame, folds_of
from fairlead.training.spec import HeadPlan, Params

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["fit_distributed"]

Array = np.ndarray[Any, Any]
SAMPLE: Final = 500_000  # rows that are looked at on this machine, about


def fit_distributed(parts: list[Frame], plan: HeadPlan, params: Params, client: Client) -> FittedHead:
    """Fit a head on frames of one vocabulary, one a partition; ModelError when they do not fit together.

    `client` is of a Dask cluster. The frames are sent to its workers as they are laid out; there they stay (a frame
    that is computed twice could be partitioned twice, which LightGBM does not survive). Columns of endpoint state are
    not used: LightGBM 4.7 cannot keep them apart from the request (`interaction_constraints`) on several machines.
    """
    parts = [_without_state(part) for part in parts]
    whole = _joined([_sampled(part, sum(len(one) for one in parts)) for part in parts])
    local = fit_head(whole, plan, params)
    if not local.trees:
        return local
    rows = [_rows(part, plan, local, whole) for part in parts]
    text = _grown(rows, whole, plan, params, local.trees, client)
    return msgspec.structs.replace(local, booster=text)


def _without_state(part: Frame) -> Frame:
    state = {column.name for column in part.columns if column.owner == "state"}
    return msgspec.structs.replace(part, hidden=part.hidden | state)


def _sampled(part: Frame, total: int) -> Frame:
    """Take whole prompts of a partition, so that all partitions' samples are about SAMPLE rows."""
    shares = -(-total // SAMPLE)
    return part if shares <= 1 else part.take(np.flatnonzero(folds_of(part.group, shares) == 0))


def _joined(parts: list[Frame]) -> Frame:
    """Put frames of one vocabulary together."""
    first = parts[0]
    for other in parts[1:]:
        if (other.endpoints, other.columns, other.categories) != (first.endpoints, first.columns, first.categories):
            raise ModelError(
                "the partitions do not share endpoints, columns and categories; lay them out with `Frame.aligned`"
            )

    def together(values: list[Any]) -> Any:
        return np.concatenate(values)

    batch = msgspec.structs.replace(
        first.batch,
        text=together([part.batch.text for part in parts]),
        scalars={name: together([part.batch.scalars[name] for part in parts]) for name in first.batch.scalars},
    )
    named = ("ids", "endpoint", "group", "time", "propensity")
    return msgspec.structs.replace(
        first,
        batch=batch,
        **{name: together([getattr(part, name) for part in parts]) for name in named},
        targets={name: together([part.targets[name] for part in parts]) for name in first.targets},
        state={name: together([part.state[name] for part in parts]) for name in first.state},
        ended=None if first.ended is None else together([part.ended for part in parts]),
    )


def _rows(part: Frame, plan: HeadPlan, local: FittedHead, whole: Frame) -> tuple[Array, Array, Array]:
    """Lay out a partition: forest input, value in link space, and where the forest begins."""
    kept = np.flatnonzero(np.isfinite(part.targets[plan.target]))
    value = fit.linked(part.targets[plan.target][kept], part, kept, plan)
    # Where the local fit cross-fits, a partition looks rows up in the table: of so many, one row hardly moves a cell.
    start = tables.at(local.table, part.route[kept], part.endpoint[kept])
    return part.rows(kept), value, start


def _grown(
    rows: list[tuple[Array, Array, Array]], whole: Frame, plan: HeadPlan, params: Params, trees: int, client: Client
) -> str:
    import dask.array
    import lightgbm as lgb

    arrays, cluster = cast("tuple[Any, Any]", (dask.array, client))  # neither says its types

    # On the workers first: arrays that are computed anew could fall apart differently for X and y.
    x, y, start = (
        cluster.persist(arrays.concatenate([arrays.from_array(part[place], chunks=part[place].shape) for part in rows]))
        for place in range(3)
    )
    settings = settings_of(whole, plan, params, sum(len(part[1]) for part in rows))
    settings.pop("interaction_constraints", None)
    learner = lgb.DaskLGBMRegressor(
        client=client, n_estimators=trees, **{**settings, "num_threads": 1, "tree_learner": "data"}
    )
    categories = [at for at, column in enumerate(whole.columns) if column.kind == "category"]
    learner.fit(x, y, init_score=start, categorical_feature=categories)
    return str(learner.booster_.model_to_string(num_iteration=trees))
