"""What labels that are noisy, poisoned or missing do to the quality learner, and what is done against it.

    python benchmarks/labels.py ROUTING_FOLDER [--set zeroeval] [--what judges tenants reach] [--seed 0]

Full outcomes of a public routing set, the first fold held out. `judges`: a judge with a bias for one family of models
scores everything, people a fifth of it; learned from the labels that `features` makes of both in a real lake, from both
as their kinds weigh (what happens while nobody has checked the judge), from people alone, and from the truth.
`tenants`: one of eight tenants sends three of ten labels and calls the best model bad; how far does what is predicted
for held-out prompts move? `reach`: feedback comes for 60 % of short prompts and 4 % of long ones. Brier and AIQ_b are
of the true outcomes of held-out prompts.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
from msgspec.structs import replace
from quality_figures import Held, Resamples, aiq_b, shown
from quality_sets import KEY, matrix_of

from fairlead import features, project, store
from fairlead.evaluation.bench_matrix import Matrix, frame_of, requests_of
from fairlead.publish import assemble
from fairlead.schema import Attempt, Feedback
from fairlead.scoring.manifest import Endpoint
from fairlead.scoring.predict import Predictor
from fairlead.training import calibrate, spec
from fairlead.training.frame import Frame
from fairlead.training.predictor import collect
from fairlead.training.quality import fit_quality

NOON = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
PEOPLE = 0.2
BIAS = 0.2


def predicted(frame: Frame, test: pl.DataFrame, models: tuple[str, ...]) -> tuple[np.ndarray, str]:
    """Fit quality as `train` does and predict the test prompts (n, K); and the reason it gives."""
    plan = spec.read(project.defaults() / "models" / "quality.toml")
    head = fit_quality(frame, plan.heads[0], plan.params, every_endpoint=False)
    used = head.rows
    bounds = calibrate.margins(head.oof_own, frame.targets["quality"][used], frame.endpoint[used], len(models))
    ends = [Endpoint(name=name, provider_name="matrix", model=name) for name in models]
    fitted = [collect(frame, plan, [head], bounds)]
    made = assemble(fitted, ends, policy="intelligent", parameters={}, version=1, lineage={})
    return Predictor(made).candidates(requests_of(test, ("dataset",))).quality, head.reason


def from_a_lake(frame: Frame, judged: np.ndarray, people: np.ndarray, folder: Path) -> tuple[Frame, str]:
    """Store the scores as feedback and read the labels back: quality and weight of each row."""
    made = project.init(folder / "project")
    truth = frame.targets["quality"]
    attempts, said = [], []
    for row in range(len(frame)):
        at = NOON + datetime.timedelta(seconds=row)
        own = {"event_date": at.date(), "source": "bench", "ingested_at": at}
        attempts.append(
            Attempt(
                event_id=f"e{row}", source_record_id=f"e{row}", request_id=f"r{row}", provider_name="matrix",
                response_model=frame.endpoints[frame.endpoint[row]], start_time=at, status="ok", is_final=True, **own,
            )
        )  # fmt: skip
        spoke = [("llm", "judge", float(judged[row]))] + [("human", "ann", float(truth[row]))] * bool(people[row])
        said += [
            Feedback(
                feedback_id=f"{who}{row}", time=at, target_kind="request", target_id=f"r{row}", name="good",
                value_type="numeric", score_normalized=score, evaluator_kind=kind, evaluator_id=who, **own,
            )
            for kind, who, score in spoke
        ]  # fmt: skip
    with store.open_lake(made.lake).loading(store.SourceFile(path="b", sha256="b", bytes=1)) as loading:
        loading.add("attempts", attempts)
        loading.add("feedback", said)
        loading.commit()
    joined = features.join(made, states=())
    rows = joined.rows.sort(pl.col("event_id").str.slice(1).cast(pl.Int64))
    labels = {**frame.targets, "quality": rows["quality"].to_numpy()}
    return replace(frame, targets=labels, weight=rows["quality_weight"].to_numpy(), sure=people), features.told(
        joined.judges[0]
    )


def judges(frame: Frame, rng: np.random.Generator) -> dict[str, Frame]:
    """Give the frame with each kind of label."""
    truth = frame.targets["quality"]
    kin = np.array([name.startswith(("gpt", "o1", "chatgpt")) for name in frame.endpoints])[frame.endpoint]
    chance = np.where(truth > 0.5, 0.8, 0.35) + BIAS * kin
    judged, people = (rng.random(len(truth)) < chance).astype(float), rng.random(len(truth)) < PEOPLE
    mixed = np.where(people, (9 * truth + 3 * judged) / 12, judged)
    with tempfile.TemporaryDirectory() as folder:
        taken_out, told = from_a_lake(frame, judged, people, Path(folder))
    print(f"the judge: {told}")
    return {
        "the truth": frame,
        "people alone, a fifth": frame.take(people),
        "both as their kinds weigh": replace(frame, targets={**frame.targets, "quality": mixed}),
        "both, the judge's habits out": taken_out,
    }


def tenants(frame: Frame, rng: np.random.Generator) -> dict[str, Frame]:
    """Give the frame without and with an attack, and with the attack where nobody looks whose labels they are."""
    prompt = np.unique(frame.group, return_inverse=True)[1]
    by_prompt = np.where(rng.random(prompt.max() + 1) < 0.3, 0, rng.integers(1, 8, prompt.max() + 1))
    tenant = by_prompt[prompt]
    means = [frame.targets["quality"][frame.endpoint == k].mean() for k in range(len(frame.endpoints))]
    foul = np.where((tenant == 0) & (frame.endpoint == int(np.argmax(means))), 0.0, frame.targets["quality"])
    own = replace(frame, tenant=tenant, tenants=tuple(f"tenant-{n}" for n in range(8)))
    attacked = replace(own, targets={**frame.targets, "quality": foul})
    return {"no attack": own, "attack": attacked, "attack, tenants not told apart": replace(attacked, tenant=None)}


def reach(frame: Frame, rng: np.random.Generator) -> dict[str, Frame]:
    """Give the frame with all labels, with some as they come, and with those as if they came evenly."""
    size = frame.base_tokens
    gets = rng.random(len(frame)) < np.where(size < np.median(size), 0.6, 0.04)
    some = np.where(gets, frame.targets["quality"], np.nan)
    came = replace(frame, targets={**frame.targets, "quality": some}, askable=np.ones(len(frame), dtype=bool))
    return {"all labels": frame, "as they come": replace(came, askable=None), "weighed where it helps": came}


def main() -> None:
    """Print Brier, AIQ_b and, under attack, how far predictions moved."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--set", default="zeroeval")
    arguments.add_argument("--what", nargs="+", default=["judges", "tenants", "reach"])
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    rows = matrix_of(given.folder, given.set).sort(*KEY, "model")
    models = tuple(sorted(rows["model"].unique()))
    whole = frame_of(Matrix(train=rows.filter(pl.col("fold") != 0), test=rows, models=models, known=("dataset",)))
    held = rows.filter(pl.col("fold") == 0)
    test = held.unique(KEY, maintain_order=True)
    true, dollars = (held[name].to_numpy().reshape(-1, len(models)) for name in ("quality", "cost_usd"))
    again = Resamples(len(true))
    for what in given.what:
        makes = {"judges": judges, "tenants": tenants, "reach": reach}[what]
        first = None
        for name, frame in makes(whole, np.random.default_rng(given.seed)).items():
            quality, reason = predicted(frame, test, models)
            first = quality if first is None else first
            moved = np.abs((quality - first).mean(axis=0)).max()
            task = test["dataset"].to_numpy()
            data = Held(list(models), task, quality, dollars, true, dollars, quality, quality)
            own, _ = aiq_b(data, quality, again)
            brier = ((quality - true) ** 2).mean()
            print(f"{what}, {name}: Brier {brier:.4f}, AIQ_b {shown(own)}, a model's mean moves by {moved:.3f} at most")
            print(f"    {reason}", flush=True)


if __name__ == "__main__":
    main()
