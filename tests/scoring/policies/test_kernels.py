import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.scoring.policies import Intelligent, engine
from fairlead.scoring.view import View
from fairlead.testing import candidates, view

kernels = pytest.importorskip("fairlead.scoring.policies.kernels")
shares = st.sampled_from([0.0, 0.1, 0.5, 1.0])
prices = st.sampled_from([0.0, 0.01, 3.0, 1e300])


@settings(max_examples=150, deadline=None)
@cases(
    parameters=st.fixed_dictionaries(
        {
            "usd_price": prices,
            "second_price": prices,
            "failure_price": prices,
            "slo_price": prices,
            "slo_s": st.sampled_from([0.5, 2.0]),
            "quality_floor": st.sampled_from([None, 0.3, 2.0]),
            "sticky": st.sampled_from([0.0, 0.2]),
            "headroom": shares,
            "temperature": st.sampled_from([0.0, 5e-324, 0.05, 1e300]),
            "exploration": shares,
            "top": st.sampled_from([1, 3, 99]),
            "usd_price_high": prices,
            "mix_share": shares,
        }
    ),
    seed=st.integers(0, 2**32 - 1),
    endpoints=st.integers(1, 9),
    requests=st.integers(1, 4),
    seen=st.sampled_from(["none", "unknown", "any"]),
    coarse=st.booleans(),
)
def test_compiled_and_numpy_choose_alike(parameters, seed, endpoints, requests, seen, coarse):
    rng = np.random.default_rng(seed)
    drawn = {"none": None, "unknown": View.unknown(endpoints), "any": view(rng, endpoints)}[seen]
    given = candidates(rng, requests, endpoints, view=drawn)
    if coarse:  # ties
        given = replace(given, quality=np.round(given.quality, 1), cost_usd=np.round(given.cost_usd, 2))
    if seed % 5 == 0:
        given = replace(given, eligible=np.zeros_like(given.eligible))
    policy = Intelligent(**parameters)

    chances, scores = policy._compiled(kernels.choose, given)

    assert np.array_equal(scores, policy.scores(given))
    if policy.temperature == 0 and seen != "any":
        assert np.array_equal(chances > 0, policy._plainly(given)[0] > 0)
    assert chances == pytest.approx(policy._plainly(given)[0], abs=1e-12)


def test_a_single_request_other_number_types_and_strided_arrays_do_as_well():
    given = candidates(np.random.default_rng(0), 6, 4, view=view(np.random.default_rng(1), 4))
    policy = Intelligent(usd_price=3, sticky=0.1, temperature=0.1)
    plain = policy._compiled(kernels.choose, given)[0]
    names = ("quality", "quality_low", "cost_usd", "latency_s", "latency_p90_s", "eligible", "failure")

    half = replace(given, quality=given.quality.astype(np.float32), incumbent=given.incumbent.astype(np.int32))
    apart = replace(given, **{name: np.asfortranarray(getattr(given, name)) for name in names})
    first = replace(given, **{name: getattr(given, name)[0] for name in names}, incumbent=given.incumbent[0])
    frozen = replace(given, quality=given.quality.copy())
    frozen.quality.flags.writeable = False

    assert policy._compiled(kernels.choose, half)[0] == pytest.approx(plain, abs=1e-5)
    assert np.array_equal(policy._compiled(kernels.choose, apart)[0], plain)
    assert np.array_equal(policy._compiled(kernels.choose, frozen)[0], plain)
    assert [one.tolist() for one in policy._compiled(kernels.choose, first)] == [
        one[0].tolist() for one in policy._compiled(kernels.choose, given)
    ]


def test_numpy_answers_until_the_engine_is_warm_and_when_it_is_asked_to():
    code = (
        "import sys; from fairlead.scoring.policies import Intelligent, engine; "
        "print('numba' in sys.modules, engine.ready()); Intelligent().warm(); "
        "print('numba' in sys.modules, engine.ready())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"FAIRLEAD_ENGINE": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split("\n")[:2] == ["False None", "False None"]


def test_a_warm_policy_answers_with_the_kernel(monkeypatch):
    monkeypatch.setattr(engine, "_found", [])
    monkeypatch.delenv("FAIRLEAD_ENGINE", raising=False)
    given = candidates(np.random.default_rng(0), 50, 5)
    policy = Intelligent(usd_price=20)
    before = policy.evaluate(given)

    policy.warm()

    assert engine.ready() is kernels.choose
    assert all(np.array_equal(a, b) for a, b in zip(policy.evaluate(given), before, strict=True))


def test_without_numba_numpy_has_to_do(monkeypatch):
    monkeypatch.setattr(engine, "_found", [])
    monkeypatch.delenv("FAIRLEAD_ENGINE", raising=False)
    monkeypatch.setitem(sys.modules, "fairlead.scoring.policies.kernels", None)
    monkeypatch.delattr("fairlead.scoring.policies.kernels", raising=False)

    assert engine.warm() is False
    assert engine.ready() is None
