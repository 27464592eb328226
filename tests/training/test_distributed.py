from typing import Any

import lightgbm as lgb
import msgspec
import numpy as np
import pytest

from fairlead.errors import ModelError
from fairlead.training.distributed import fit_distributed
from fairlead.training.fit import fit_head
from fairlead.training.spec import HeadPlan, Params

TOKENS = HeadPlan(name="output_tokens", target="output_tokens", alpha=0.5)
STEADY = Params(rounds=60, learning_rate=0.1, num_leaves=15, row_share=1.0, feature_share=1.0)


@pytest.mark.study
@pytest.mark.filterwarnings("ignore")
def test_two_workers_fit_what_one_machine_fits(make_frame: Any) -> None:
    distributed = pytest.importorskip("distributed")
    frame, fresh = make_frame(6000), make_frame(2000, seed=5)
    parts = [frame.take(np.arange(at, at + 1500)) for at in range(0, 6000, 1500)]
    local = fit_head(msgspec.structs.replace(frame, hidden=frozenset({"load"})), TOKENS, STEADY)

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        spread = fit_distributed(parts, TOKENS, STEADY, client)

    assert (spread.serve, spread.trees) == (local.serve, local.trees) == ("forest", local.trees)
    assert spread.table.tolist() == local.table.tolist()
    assert spread.offset.tolist() == local.offset.tolist()
    said = [lgb.Booster(model_str=head.booster).predict(fresh.rows(), raw_score=True) for head in (local, spread)]
    begun = local.table[fresh.route.astype(int), fresh.endpoint]
    losses = [np.abs(np.log(fresh.targets["output_tokens"]) - begun - one).mean() for one in said]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert np.corrcoef(*said)[0, 1] > 0.99


def test_partitions_of_two_vocabularies_are_refused(make_frame: Any) -> None:
    frame = make_frame(200)
    other = msgspec.structs.replace(frame, endpoints=("cheap", "other"))

    with pytest.raises(ModelError, match="the partitions do not share endpoints, columns and categories"):
        fit_distributed([frame, other], TOKENS, STEADY, None)
