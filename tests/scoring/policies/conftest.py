import numpy as np
import pytest

from fairlead.scoring import Candidates, View


def _given(endpoints=3, requests=None, view=None, **arrays):
    shape = (endpoints,) if requests is None else (requests, endpoints)
    one = np.ones(shape)
    known = {
        "quality": one * 0.5,
        "quality_low": one * 0.4,
        "cost_usd": one,
        "cost_p90_usd": one,
        "latency_s": one,
        "latency_p90_s": one,
        "eligible": one > 0,
    }
    given = {name: np.asarray(values) for name, values in arrays.items() if name not in ("names", "routes")}
    return Candidates(
        endpoints=arrays.get("names", tuple("abcdefgh"[:endpoints])),
        view=view,
        routes=arrays.get("routes"),
        **{**known, **given},
    )


def _view(endpoints=3, pace=1.0, **arrays):
    from msgspec.structs import replace

    return replace(View.unknown(endpoints), pace=pace, **{name: np.array(values) for name, values in arrays.items()})


@pytest.fixture(scope="session")
def given():
    return _given


@pytest.fixture(scope="session")
def live():
    return _view
