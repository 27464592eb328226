import subprocess
import sys
import threading

import msgspec
import numpy as np
import pytest

from fairlead import Intelligent, Request, Router, Weighted
from fairlead.errors import SnapshotRefusedError
from fairlead.scoring import Batch, Detail
from fairlead.scoring.draw import uniform
from fairlead.scoring.snapshot import CURRENT, LAST_GOOD


def test_a_decision_says_what_and_why(snapshot):
    decision = Router(snapshot).decide(Request(id="r-1", text="2 + 2?", route="maths"))

    assert decision.endpoint == "dear"
    assert decision.propensity == 1.0
    assert [one.endpoint for one in decision.ranked] == ["dear", "cheap"]
    assert decision.policy == "intelligent"
    assert decision.snapshot_version == 1
    assert decision.reasons[0].startswith("highest predicted quality - 10 x USD")
    assert msgspec.json.decode(decision.to_json(), type=Detail) == decision.detail()


def test_the_same_request_gets_the_same_decision(snapshot):
    router, again = Router(snapshot, Weighted(), seed=7), Router(snapshot, Weighted(), seed=7)

    for number in range(50):
        request = Request(id=f"r-{number}", text="hello", route="chat")
        first, second = router.decide(request), again.decide(request)
        assert (first.id, first.endpoint) == (second.id, second.endpoint)


def test_propensities_are_the_frequencies_one_sees(snapshot):
    router = Router(snapshot, Weighted({"cheap": 3, "dear": 1}))

    chosen = [router.decide(Request(id=str(number))) for number in range(2000)]

    share = np.mean([one.endpoint == "cheap" for one in chosen])
    assert abs(share - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 2000)
    assert {(one.endpoint, one.propensity) for one in chosen} == {("cheap", 0.75), ("dear", 0.25)}


def test_a_replay_gives_the_probabilities_of_single_decisions(snapshot):
    router = Router(snapshot, Intelligent(usd_price=3, temperature=0.1, exploration=0.2))
    requests = [Request(id=str(n), text="x" * n, route=route) for n, route in enumerate(["maths", "chat", None])]

    replayed = router.probabilities(Batch.of(requests))

    for row, request in enumerate(requests):
        ranked = {one.endpoint: one.propensity for one in router.decide(request).ranked}
        assert [ranked[name] for name in snapshot.endpoints] == pytest.approx(replayed[row].tolist())


def test_a_request_may_restrict_its_endpoints(snapshot):
    router = Router(snapshot)

    decision = router.decide(Request(route="maths", endpoints=("cheap", "unheard of")))

    assert decision.endpoint == "cheap"
    assert len(decision.ranked) == 1


def test_where_nothing_is_eligible_the_answer_says_so(snapshot):
    decision = Router(snapshot).decide(Request(id="r-1", endpoints=("unheard of",)))

    assert (decision.kind, decision.endpoint, decision.propensity, decision.ranked) == ("no_eligible", None, 1.0, ())
    assert decision.reasons == ("no endpoint is eligible; no last resort is named",)


@pytest.mark.parametrize("resort", ["cheap", "elsewhere"])
def test_a_last_resort_is_named_where_nothing_is_eligible(snapshot, resort):
    decision = Router(snapshot, last_resort=resort, strict=True).decide(Request(id="r-1", needs=("audio",)))

    assert (decision.kind, decision.endpoint, decision.propensity) == ("last_resort", resort, 1.0)
    assert decision.reasons == (f"no endpoint is eligible; the last resort {resort} is taken",)


@pytest.mark.parametrize(
    "asked", [{"endpoints": ("unheard of",)}, {"providers": ("other",)}, {"regions": ("eu",)}], ids=str
)
def test_a_last_resort_is_not_asked_against_the_requests_own_rules(snapshot, asked):
    decision = Router(snapshot, last_resort="cheap").decide(Request(**asked))

    assert (decision.kind, decision.endpoint) == ("no_eligible", None)
    assert decision.reasons == ("no endpoint is eligible; the last resort cheap is not among the allowed",)


class Breaks(Weighted):
    def probabilities(self, candidates):
        raise ZeroDivisionError("in a policy")


def test_a_decision_that_fails_inside_is_answered_and_counted(snapshot):
    router = Router(snapshot, Breaks())

    decision = router.decide(Request(id="r-1"))

    assert (decision.kind, decision.endpoint) == ("failed", None)
    assert decision.reasons == ("deciding failed (ZeroDivisionError: in a policy); no last resort is named",)
    assert Router(snapshot, Breaks(), last_resort="dear").decide(Request()).endpoint == "dear"
    assert (router.status().faults, router.status().last_fault) == (1, "ZeroDivisionError: in a policy")


def test_without_a_snapshot_the_default_order_decides_until_one_is_published(make_snapshot, tmp_path):
    router = Router(tmp_path, default=("dear", "cheap"))

    assert router.decide(Request()).endpoint == "dear"
    assert router.decide(Request(endpoints=("cheap",))).endpoint == "cheap"
    assert router.status().version == 0
    assert "cannot be read" in router.status().refused

    make_snapshot(version=1, policy="weighted", parameters={"weights": {"cheap": 1.0}}).write(tmp_path / CURRENT)
    assert router.reload(tmp_path)
    assert (router.decide(Request()).endpoint, router.status().refused) == ("cheap", None)


def test_without_a_snapshot_and_a_default_there_is_no_router(tmp_path):
    with pytest.raises(SnapshotRefusedError, match="cannot be read"):
        Router(tmp_path)


def test_a_decision_tells_the_gateway_what_to_log(snapshot):
    decision = Router(snapshot, Weighted()).decide(Request(id="r-1", route="chat"))

    logged = decision.metadata()

    assert (logged["decision_id"], logged["request_id"], logged["propensity"]) == (decision.id, "r-1", 0.5)
    assert sum(one["propensity"] for one in logged["candidates"]) == 1.0


def test_a_newer_snapshot_is_taken_and_an_older_or_damaged_one_is_not(make_snapshot, tmp_path):
    make_snapshot(version=2).write(tmp_path / CURRENT)
    router = Router(tmp_path)

    make_snapshot(version=3).write(tmp_path / CURRENT)
    assert router.reload(tmp_path)
    assert router.snapshot.manifest.version == 3

    make_snapshot(version=1).write(tmp_path / CURRENT)
    assert not router.reload(tmp_path)
    assert router.refused == "version 1 is older than 3"

    (tmp_path / CURRENT).write_bytes(b"damaged")
    assert not router.reload(tmp_path)
    assert "not a fairlead snapshot" in router.refused
    assert router.snapshot.manifest.version == 3


def test_a_damaged_current_file_is_named_even_where_the_last_good_one_is_older(make_snapshot, tmp_path):
    make_snapshot(version=2).write(tmp_path / CURRENT)
    make_snapshot(version=1).write(tmp_path / LAST_GOOD)
    router = Router(tmp_path)
    (tmp_path / CURRENT).write_bytes(b"damaged")

    taken = router.reload(tmp_path)

    assert (taken, router.snapshot.manifest.version) == (False, 2)
    assert "not a fairlead snapshot" in router.refused
    assert router.refused.endswith("the last good one is not used: version 1 is older than 2")


def test_a_snapshot_whose_policy_cannot_be_built_is_not_taken(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / CURRENT)
    router = Router(tmp_path)
    make_snapshot(version=2, parameters={"usd_price": "much"}).write(tmp_path / CURRENT)

    taken = router.reload(tmp_path)

    assert (taken, router.snapshot.manifest.version) == (False, 1)
    assert "policy intelligent" in router.refused
    assert router.decide(Request(route="maths")).endpoint == "dear"


def test_a_repaired_file_is_taken_and_the_refusal_forgotten(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / CURRENT)
    router = Router(tmp_path)
    (tmp_path / CURRENT).write_bytes(b"damaged")
    assert not router.reload(tmp_path)

    make_snapshot(version=1).write(tmp_path / CURRENT)

    assert router.reload(tmp_path)
    assert router.refused is None


def test_an_exploring_policy_chooses_as_often_as_it_says(snapshot):
    router = Router(snapshot, Intelligent(usd_price=10, temperature=1.0, exploration=0.3), seed=3)
    decisions = [router.decide(Request(id=f"r-{number}", route="maths")) for number in range(2000)]
    said = {one.endpoint: one.propensity for one in decisions[0].ranked}

    counts = {name: sum(one.endpoint == name for one in decisions) for name in said}

    chi_square = sum((counts[name] - 2000 * share) ** 2 / (2000 * share) for name, share in said.items())
    assert chi_square < 10.83  # one in a thousand, at one degree of freedom
    assert all(one.propensity == said[one.endpoint] for one in decisions)
    assert {one.metadata()["is_exploration"] for one in decisions} == {True, False}


def test_the_draw_is_even_and_depends_on_seed_and_id_alone():
    draws = np.array([uniform(1, f"r-{number}") for number in range(4000)])

    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 43.8  # one in a thousand, at 19 degrees of freedom
    assert uniform(1, "r-1") == draws[1] != uniform(2, "r-1")


def test_a_router_that_starts_on_the_last_good_one_says_so(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / LAST_GOOD)

    router = Router(tmp_path)

    assert "cannot be read" in router.refused
    assert router.decide(Request()).snapshot_version == 1


def test_reloads_under_way_never_mix_two_snapshots(make_snapshot, tmp_path):
    # Version n is published with a policy that always chooses one endpoint: even cheap, odd dear.
    def publish(version):
        name = "cheap" if version % 2 == 0 else "dear"
        make_snapshot(version=version, policy="weighted", parameters={"weights": {name: 1.0}}).write(tmp_path / CURRENT)

    publish(1)
    router = Router(tmp_path)
    seen, stop = [], threading.Event()

    def decide():
        while not stop.is_set():
            seen.append(router.decide(Request(id="r")))

    threads = [threading.Thread(target=decide) for _ in range(2)]
    for thread in threads:
        thread.start()
    for version in range(2, 40):
        publish(version)
        assert router.reload(tmp_path)
    stop.set()
    for thread in threads:
        thread.join()

    assert len({one.snapshot_version for one in seen}) > 1
    assert all(one.endpoint == ("cheap" if one.snapshot_version % 2 == 0 else "dear") for one in seen)


BARE = """
import sys

class Closed:
    heavy = {"lightgbm", "duckdb", "polars", "mlflow", "prefect", "pyarrow", "sklearn", "scipy", "pandas", "typer"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.heavy:
            raise ImportError(f"{name} is not for a gateway")

sys.meta_path.insert(0, Closed())
from fairlead import Request, Router
print(Router(sys.argv[1]).decide(Request(id="r", text="2 + 2?", route="maths")).endpoint)
"""


def test_a_published_snapshot_decides_without_the_pipelines_libraries(make_snapshot, tmp_path):
    make_snapshot().write(tmp_path / CURRENT)

    done = subprocess.run([sys.executable, "-c", BARE, tmp_path], capture_output=True, text=True, check=True)

    assert done.stdout == "dear\n"
