"""Commands beside the loop: demo, simulate, bench, prices, models."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from fairlead import project
from fairlead.cli import show
from fairlead.cli.confirm import guarded
from fairlead.cli.show import AsJson
from fairlead.errors import ProjectError, UsageError

__all__ = ["COMMANDS"]


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to run it; made anew.")] = Path("fairlead-demo"),
    requests: Annotated[int, typer.Option(min=1000, help="How many requests the simulated gateway logs.")] = 12_000,
) -> None:
    """Run the whole loop on simulated traffic, and end with the report's path."""
    from fairlead.cli.demo import run

    run(folder, requests)


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write the log, feedback, prices and truth into.")],
    matrix: Annotated[
        Path | None, typer.Option(help="A full routing matrix (Parquet); without one, a synthetic one.")
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="How many; default: every prompt, or 5,000.")] = None,
    endpoints: Annotated[int, typer.Option(min=2, help="How many endpoints to choose from.")] = 6,
    models: Annotated[
        str | None, typer.Option(help="The matrix's models to use, by name, separated by commas.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.01, help="Over how many days the requests arrive.")] = 14,
    logging: Annotated[str, typer.Option(help="uniform, epsilon, boltzmann or deterministic.")] = "boltzmann",
    exploration: Annotated[float, typer.Option(min=0, max=1, help="Share of even exploration.")] = 0.1,
    traces: Annotated[Path | None, typer.Option(help="Folder of traces to draw arrivals and latencies from.")] = None,
    lengths: Annotated[
        str, typer.Option(help="Lengths and bursts: words (the prompts' own), azure-conv, azure-code, mooncake.")
    ] = "words",
    load: Annotated[float, typer.Option(min=0, help="Calls in flight at each endpoint, on average; 0: no load.")] = 0,
    slots: Annotated[int, typer.Option(min=1, help="Calls that an endpoint answers at once; others wait.")] = 16,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="What changes, repeatable: outage, slow, price, drift, longer, arrives, retires, mix; as in "
            "'outage provider=openai from=3d for=2h', 'price model=gpt-4.1 factor=0.5 from=7d', "
            "'drift model=gpt-4.1 route=code quality=-0.1 from=5d', 'mix route=code factor=3 from=5d'."
        ),
    ] = None,
    feedback_share: Annotated[float, typer.Option(min=0, max=1, help="Share of answers that get a score.")] = 1,
    feedback_delay: Annotated[float, typer.Option(min=0, help="Median hours until a score; log-normal.")] = 2,
    feedback_bias: Annotated[
        float, typer.Option(help="Log-odds by which a score of 0 is likelier to be given than a score of 1.")
    ] = 0,
    judge_noise: Annotated[
        float | None, typer.Option(min=0, help="Adds a judge of half the answers, with errors of this deviation.")
    ] = None,
    preferences: Annotated[float, typer.Option(min=0, max=1, help="Share of answers voted on in pairs.")] = 0,
    log_format: Annotated[
        str,
        typer.Option("--format", help="Whose log it is: litellm, portkey, openrouter, envoy, kong, helicone, otlp, …"),
    ] = "litellm",
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a gateway's log whose truth is known: traffic, failures, prices and quality that change as you say."""
    from fairlead.evaluation import simulate as stage

    chosen: int | tuple[str, ...] = endpoints
    if models:
        chosen = tuple(name.strip() for name in models.split(",") if name.strip())
    said = stage.Opinions(
        share=feedback_share, delay_h=feedback_delay, bias=feedback_bias, judge_noise=judge_noise, votes=preferences
    )
    with show.progress("simulating", quiet=as_json) as tell:
        done = stage.run(
            out,
            matrix=matrix,
            requests=requests,
            endpoints=chosen,
            days=days,
            logging=logging,
            exploration=exploration,
            seed=seed,
            traces=traces,
            lengths=lengths,
            load=stage.Load(in_flight=load, slots=slots),
            events=[stage.parse(one) for one in event or ()],
            opinions=said,
            log_format=log_format,
            progress=lambda at, total: tell(f"{at:,} attempts", at / max(total, 1)),
        )
    lacking = done.lacking
    words = show.fields(
        {
            "requests": f"{done.requests:,} ({done.attempts:,} attempts)",
            "endpoints": ", ".join(done.endpoints),
            "log": done.log,
            **({"without": f"{lacking} (not in a {log_format} log)"} if lacking else {}),
            **done.opinions,
            "prices": f"{done.prices} (copy to data/prices.contract.csv)",
            "truth": done.truth,
        }
    )
    show.result(done.summary, words, as_json)


def bench(
    matrix: Annotated[Path, typer.Argument(help="A routing matrix in long format (Parquet).", dir_okay=False)],
    train: Annotated[Path, typer.Option(help="Parquet of dataset, prompt_id to learn from.")],
    test: Annotated[Path, typer.Option(help="Parquet of dataset, prompt_id to predict.")],
    out: Annotated[Path, typer.Option(help="Folder for predictions, decisions and the summary.")],
    metadata: Annotated[str, typer.Option(help="Columns known before the call, by commas; or none.")] = "dataset",
    labels: Annotated[str, typer.Option(help="full, or bandit: one endpoint's outcome a prompt.")] = "full",
    seed: Annotated[int, typer.Option(help="Seed of the drawn labels, with --labels bandit.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn from a public routing matrix with the product's own training, and decide its test prompts."""
    from fairlead.evaluation import bench as stage

    if labels not in ("full", "bandit"):
        raise UsageError(f"--labels is full or bandit, not {labels!r}")
    kind: Literal["full", "bandit"] = "full" if labels == "full" else "bandit"
    known = () if metadata.strip() == "none" else tuple(name.strip() for name in metadata.split(",") if name.strip())
    with show.progress("benchmarking", quiet=as_json) as tell:
        done = stage.run(matrix, train, test, out, _models(), metadata=known, labels=kind, seed=seed, progress=tell)
    lines = {
        name: f"serves the {head['serve']}; loss {head['loss']:.4f}, category table {head['loss_table']:.4f}, "
        f"endpoint mean {head['loss_endpoint_mean']:.4f} (out of fold)"
        for name, head in done["predictors"].items()
    }
    words = show.fields({**lines, "written": f"{out} in {done['seconds']} s"})
    show.result(done, words, as_json)


def _models() -> Path:
    """The project's models/, or the default ones where there is no project."""
    try:
        return project.find().models
    except ProjectError:
        return project.defaults() / "models"


def prices(
    out: Annotated[Path | None, typer.Option(help="The catalogue to rebuild; default: the project's.")] = None,
    litellm: Annotated[Path | None, typer.Option(help="LiteLLM's model_prices_and_context_window.json.")] = None,
    genai: Annotated[Path | None, typer.Option(help="genai-prices as a Parquet table, or: installed.")] = None,
    mlflow: Annotated[Path | None, typer.Option(help="MLflow's model catalogue as a Parquet table.")] = None,
    overrides: Annotated[Path | None, typer.Option(help="A CSV whose prices come before all others.")] = None,
    retrieved_at: Annotated[
        datetime.datetime | None, typer.Option(help="The day the facts are from; default today.")
    ] = None,
    catalog_version: Annotated[list[str] | None, typer.Option(help="NAME=VERSION of a source; repeatable.")] = None,
    acknowledge: Annotated[bool, typer.Option(help="Accept changes of more than five times.")] = False,
    by: Annotated[
        str | None, typer.Option(help="The id of the key whose authenticator gives the code, once one is enrolled.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the dated price catalogue from its public sources."""
    from fairlead.ingest import catalogue

    if not any((litellm, genai, mlflow, overrides)):
        raise UsageError("name at least one source: --litellm, --genai, --mlflow or --overrides")
    versions = dict(pair.split("=", 1) for pair in catalog_version or () if "=" in pair)
    day = retrieved_at.date() if retrieved_at else datetime.datetime.now(datetime.UTC).date()
    target = out or project.find().prices
    actor = None if out is not None else guarded("prices", by)  # a file elsewhere prices nothing
    done = catalogue.build(
        target,
        litellm=litellm,
        genai=genai,
        mlflow=mlflow,
        overrides=overrides,
        retrieved_at=day,
        acknowledge=acknowledge,
        versions=versions or None,
    )
    if actor is not None:
        actor.record("prices.changed", file=target.name, count=done.rows)
    words = f"{target}: {done.rows:,} prices of {done.models:,} models at {done.providers} providers"
    show.result(done, words, as_json)


def models(
    out: Annotated[Path | None, typer.Option(help="The catalogue to rebuild; default: the project's.")] = None,
    litellm: Annotated[Path | None, typer.Option(help="LiteLLM's model_prices_and_context_window.json.")] = None,
    models_dev: Annotated[Path | None, typer.Option(help="models.dev as a Parquet table.")] = None,
    mlflow: Annotated[Path | None, typer.Option(help="MLflow's model catalogue as a Parquet table.")] = None,
    retrieved_at: Annotated[
        datetime.datetime | None, typer.Option(help="The day the facts are from; default today.")
    ] = None,
    catalog_version: Annotated[list[str] | None, typer.Option(help="NAME=VERSION of a source; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the catalogue of what models take, give and can do from its public sources."""
    from fairlead.ingest import model_catalogue

    if not any((litellm, models_dev, mlflow)):
        raise UsageError("name at least one source: --litellm, --models-dev or --mlflow")
    target = out or project.find().catalogue
    done = model_catalogue.build(
        target,
        litellm=litellm,
        models_dev=models_dev,
        mlflow=mlflow,
        retrieved_at=retrieved_at.date() if retrieved_at else datetime.datetime.now(datetime.UTC).date(),
        versions=dict(pair.split("=", 1) for pair in catalog_version or () if "=" in pair),
    )
    words = (
        f"{target}: {done.models:,} models at {done.providers} providers, {done.with_capabilities:,} with known "
        f"capabilities; {done.added:,} new, {done.changed:,} changed"
    )
    show.result(done, words, as_json)


COMMANDS: Final[tuple[Callable[..., None], ...]] = (demo, simulate, bench, prices, models)
