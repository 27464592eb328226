import numpy as np
from msgspec.structs import replace

from fairlead import features
from fairlead.training import gate, logs, spec
from fairlead.training.champions import champion_of
from fairlead.training.fit import fit_head
from fairlead.training.predictor import collect
from fairlead.training.registry import Registry


def fitted(here):
    joined = features.join(here, states=spec.tables_of(here.models))
    plan = next(one for one in spec.read_all(here.models) if one.name == "quality")
    frame = replace(logs.frame_of(joined), hidden=logs.hidden(logs.frame_of(joined), plan, joined))
    heads = [fit_head(frame, head, plan.params) for head in plan.heads]
    return frame, heads, collect(frame, plan, heads, None)


def test_the_gate_lets_the_better_through_and_stops_the_worse(trained):
    here, _ = trained
    champion = champion_of(Registry(here.registry), "quality").predictor
    frame, heads, candidate = fitted(here)

    first = gate.judge(candidate, heads, None, frame)
    lenient = replace(candidate, spec=replace(candidate.spec, gate=replace(candidate.spec.gate, at_most=1.1)))
    fresh = gate.judge(lenient, heads, champion, frame)  # a few hundred rows move a Brier score by some per cent
    spoilt = [replace(head, oof_own=np.clip(1 - head.oof_own, 0.01, 0.99)) for head in heads]
    worse = gate.judge(candidate, spoilt, champion, frame)
    moved = gate.judge(replace(candidate, categories={"route": []}), heads, champion, frame)

    assert (first.promote, first.reason) == (True, "first of its name")
    assert fresh.promote, fresh.reason
    assert not worse.promote
    assert worse.reason.startswith("brier as a share of the champion's: quality ")
    assert moved.promote
    assert "no longer fits" in moved.reason


def test_without_fresh_rows_the_recorded_losses_are_compared(trained):
    here, _ = trained
    champion = champion_of(Registry(here.registry), "quality").predictor
    frame, heads, candidate = fitted(here)
    later = replace(champion, trained_until=float(frame.time.max()) + 1)
    lucky = replace(later, heads=[replace(head, metrics={"loss_served": 1e-6}) for head in later.heads])

    assert gate.judge(candidate, heads, later, frame).promote
    assert not gate.judge(candidate, heads, lucky, frame).promote


def test_predictors_declared_anew_are_not_held_against_the_old(trained):
    here, _ = trained
    champion = champion_of(Registry(here.registry), "quality").predictor
    frame, heads, candidate = fitted(here)
    fewer = replace(champion, heads=[])
    others = replace(champion, spec=replace(champion.spec, features=["request_shape.route"]))

    verdicts = [gate.judge(candidate, heads, old, frame) for old in (fewer, others)]

    assert (
        verdicts
        == [gate.Verdict(True, "heads or features were declared anew, so the champion answers another question")] * 2
    )
