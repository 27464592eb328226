import json

import numpy as np
import polars as pl
import pytest

from fairlead import project
from fairlead.errors import ReadError, UsageError
from fairlead.evaluation import bench
from fairlead.evaluation.bench_matrix import Matrix, frame_of, requests_of

KEY = ["dataset", "prompt_id"]
MODELS = project.defaults() / "models"


def matrix(prompts=240, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(prompts):
        dataset = ["maths", "chat"][number % 2]
        hard = rng.random() < 0.5
        prompt = ("prove " if hard else "say ") + " ".join(rng.choice(["one", "two", "three"], 5)) + f" {number}"
        for model, skill, price in (("small", 0.3, 1e-7), ("large", 0.9, 2e-6), ("odd", 0.6, 1e-6)):
            chance = skill if hard else 0.95
            tokens_in, tokens_out = len(prompt) // 4, int(rng.lognormal(4 + hard, 0.3))
            rows.append(
                {
                    "dataset": dataset,
                    "prompt_id": f"p{number}",
                    "prompt": prompt,
                    "model": model,
                    "quality": float(rng.random() < chance),
                    "cost_usd": price * tokens_in + 4 * price * tokens_out,
                    "tokens_in": tokens_in,
                    "tokens_out": tokens_out,
                    "latency_s": float(0.2 + tokens_out * rng.uniform(0.01, 0.02)),
                    "n_tools": number % 3,
                    "no_answer": False,
                }
            )
    return pl.DataFrame(rows)


class Case:
    def __init__(self, folder, rows, **options):
        folder.mkdir(parents=True, exist_ok=True)
        keys = rows.select(KEY).unique().sort(KEY)
        train = keys.filter(pl.int_range(pl.len()) % 10 < 7)
        rows.write_parquet(folder / "matrix.parquet")
        train.write_parquet(folder / "train.parquet")
        keys.join(train, on=KEY, how="anti").write_parquet(folder / "test.parquet")
        self.folder, self.options = folder, options

    def run(self):
        parts = [self.folder / f"{name}.parquet" for name in ("matrix", "train", "test")]
        summary = bench.run(*parts, self.folder / "out", MODELS, **self.options)
        frames = [pl.read_parquet(self.folder / "out" / f"{name}.parquet") for name in ("predictions", "decisions")]
        return summary, *frames


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return Case(tmp_path_factory.mktemp("bench"), matrix()).run()


def test_predictions_have_a_row_for_each_test_prompt_and_model(full):
    _, predictions, _ = full

    assert predictions.columns == [
        *("dataset", "prompt_id", "model", "quality", "quality_low"),
        *("cost_usd", "cost_p90_usd", "latency_s", "latency_p90_s"),
    ]
    assert predictions.height == 72 * 3
    assert predictions.select(*KEY, "model").n_unique() == predictions.height
    assert predictions.null_count().row(0) == (0,) * 9
    assert predictions.filter(pl.col("quality_low") > pl.col("quality")).is_empty()
    assert predictions.filter(pl.col("cost_p90_usd") < pl.col("cost_usd")).is_empty()
    assert predictions["quality"].is_between(0, 1).all()


def test_decisions_are_probabilities_for_every_test_prompt(full):
    _, predictions, decisions = full

    assert decisions.columns == ["policy", "operating_point", *KEY, "model", "propensity"]
    sums = decisions.group_by("policy", "operating_point", *KEY).agg(pl.col("propensity").sum())
    assert sums["propensity"].to_numpy() == pytest.approx(1)
    prompts = predictions.select(KEY).n_unique()
    points = sums.group_by("policy", "operating_point").len()
    assert set(points["len"]) == {prompts}
    assert {("intelligent", "no_worse"), ("category_table", "no_worse"), ("best_single", "all")} <= set(
        points.select("policy", "operating_point").rows()
    )


def test_the_summary_is_written_and_says_what_was_learned(full, tmp_path):
    summary, _, _ = full

    assert set(summary["predictors"]) == {
        *("quality", "input_tokens", "output_tokens", "output_tokens_p90", "latency_s", "latency_p90_s")
    }
    assert (summary["train_prompts"], summary["test_prompts"]) == (168, 72)
    assert json.dumps(summary)


def test_outcomes_of_test_prompts_are_never_read(full, tmp_path):
    _, predictions, decisions = full
    rows = matrix()
    keys = rows.select(KEY).unique().sort(KEY)
    held = keys.filter(pl.int_range(pl.len()) % 10 >= 7).with_columns(held=pl.lit(True))
    marked = rows.join(held, on=KEY, how="left")
    blank = [
        pl.when(pl.col("held").fill_null(False)).then(pl.lit(-999).cast(rows[name].dtype)).otherwise(name).alias(name)
        for name in ("quality", "cost_usd", "tokens_in", "tokens_out", "latency_s")
    ]

    _, other_predictions, other_decisions = Case(tmp_path, marked.with_columns(blank).drop("held")).run()

    assert other_predictions.equals(predictions)
    assert other_decisions.equals(decisions)


@pytest.mark.parametrize(
    ("gone", "empty"),
    [
        (["latency_s"], ["latency_s", "latency_p90_s"]),
        (["cost_usd"], ["cost_usd", "cost_p90_usd"]),
        (["tokens_in", "tokens_out"], []),
        (["cost_usd", "tokens_in", "tokens_out", "latency_s", "prompt"], ["cost_usd", "cost_p90_usd", "latency_s"]),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_what_the_matrix_does_not_have_is_null_in_the_predictions(tmp_path, gone, empty, how):
    rows = matrix(150)
    rows = rows.drop(gone) if how == "missing" else rows.with_columns(pl.lit(None).alias(name) for name in gone)

    _, predictions, decisions = Case(tmp_path, rows).run()

    assert [name for name in ("cost_usd", "cost_p90_usd", "latency_s") if predictions[name].is_null().all()] == [
        name for name in ("cost_usd", "cost_p90_usd", "latency_s") if name in empty
    ]
    assert predictions["quality"].null_count() == 0
    assert "no_worse" in decisions["operating_point"].to_list()


@pytest.mark.parametrize("options", [{"metadata": ()}, {"metadata": ("dataset", "n_tools")}, {"labels": "bandit"}])
def test_metadata_and_labels_can_be_chosen(tmp_path, options):
    summary, predictions, decisions = Case(tmp_path, matrix(), **options).run()

    assert summary["metadata"] == list(options.get("metadata", ("dataset",)))
    assert predictions["quality"].null_count() == 0
    assert decisions.filter(operating_point="no_worse", policy="intelligent").select(KEY).n_unique() == 72


def test_bandit_labels_are_one_endpoint_a_prompt_and_the_same_for_a_seed(tmp_path):
    first = Case(tmp_path / "a", matrix(), labels="bandit", seed=3).run()
    again = Case(tmp_path / "b", matrix(), labels="bandit", seed=3).run()

    assert first[0]["predictors"]["quality"]["rows"] == 168
    assert first[1].equals(again[1])


def test_routes_and_models_only_the_test_has_are_tolerated(tmp_path):
    rows = matrix()
    keys = rows.select(KEY).unique().sort(KEY)
    held = keys.filter(pl.int_range(pl.len()) % 10 >= 7)
    extra = rows.join(held.head(1), on=KEY, how="semi").filter(model="small").with_columns(model=pl.lit("unseen"))
    case = Case(tmp_path, pl.concat([rows, extra]))

    _, predictions, _ = case.run()

    assert set(predictions["model"]) == {"small", "large", "odd"}


def test_a_matrix_or_split_that_cannot_be_is_refused_in_words(tmp_path):
    case = Case(tmp_path, matrix(60))
    parts = {name: tmp_path / f"{name}.parquet" for name in ("matrix", "train", "test")}

    with pytest.raises(UsageError, match="share prompts"):
        bench.run(parts["matrix"], parts["train"], parts["train"], tmp_path / "out", MODELS)
    with pytest.raises(UsageError, match="has no column 'tier'"):
        bench.run(*parts.values(), tmp_path / "out", MODELS, metadata=("tier",))
    with pytest.raises(UsageError, match="'tokens_out' is not something known"):
        bench.run(*parts.values(), tmp_path / "out", MODELS, metadata=("tokens_out",))
    matrix(60).drop("quality").write_parquet(parts["matrix"])
    with pytest.raises(ReadError, match="no column 'quality'"):
        case.run()
    parts["matrix"].write_text("not parquet")
    with pytest.raises(ReadError, match="not a readable Parquet file"):
        case.run()


@pytest.mark.parametrize("name", ["zeroeval", "bfcl_2024_07", "mmlu_pro_chat", "routellm_evals"])
def test_a_sample_of_each_public_set_runs(shared, tmp_path, name):
    rows = pl.read_parquet(shared / "data" / "routing" / name / "outcomes.parquet")
    few = rows.select(KEY).unique().sort(KEY).sample(200, seed=0)
    models = rows["model"].unique().sort()[:5]
    part = rows.join(few, on=KEY, how="semi").filter(pl.col("model").is_in(models.implode()))

    _, predictions, decisions = Case(tmp_path, part).run()

    assert predictions["quality"].null_count() == 0
    assert decisions["operating_point"].n_unique() > 2


def test_a_cost_that_no_prompt_shows_of_a_model_is_not_made_up(tmp_path):
    odd = pl.col("model") == "odd"
    rows = matrix(150).drop("tokens_in", "tokens_out").with_columns(cost_usd=pl.when(~odd).then("cost_usd"))

    _, predictions, decisions = Case(tmp_path, rows).run()

    nulls = predictions.group_by("model").agg(pl.col("cost_usd", "cost_p90_usd", "quality").null_count()).sort("model")
    assert nulls.rows() == [("large", 0, 0, 0), ("odd", 45, 45, 0), ("small", 0, 0, 0)]
    assert "odd" not in set(decisions["model"])


@pytest.mark.parametrize("change", ["repeated", "unanswered", "integer"])
def test_a_matrix_may_be_untidy(tmp_path, change):
    rows = matrix(150)
    number = pl.col("prompt_id").str.slice(1).cast(pl.Int64)
    untidy = {
        "repeated": pl.concat([rows, rows]),
        "unanswered": rows.filter((pl.col("model") != "odd") | (number % 3 == 0)),
        "integer": rows.with_columns(prompt_id=number),
    }

    _, predictions, decisions = Case(tmp_path, untidy[change], labels="bandit").run()

    assert predictions.height == 45 * 3
    assert predictions.select(*KEY, "model").n_unique() == predictions.height
    assert decisions.filter(policy="intelligent", operating_point="no_worse").select(KEY).n_unique() == 45


def test_a_label_that_is_rarer_counts_for_more_where_a_model_did_not_answer_all():
    rows = matrix(150)
    number = pl.col("prompt_id").str.slice(1).cast(pl.Int64)
    whole = Matrix(
        train=rows.filter((pl.col("model") != "odd") | (number % 3 == 0)).sort(*KEY, "model"),
        test=rows.select(*KEY, "prompt").unique(KEY),
        models=("large", "odd", "small"),
        known=("dataset",),
    )

    one = bench._one_label(frame_of(whole), seed=0)

    assert len(one) == len(set(one.ids.tolist())) == 150
    answers = np.array([3 if int(name.split("p")[1]) % 3 == 0 else 2 for name in one.ids])
    assert one.propensity == pytest.approx(1 / answers)


def test_metadata_that_is_true_or_false_is_known_in_the_test_too(tmp_path):
    rows = matrix(150).with_columns(flag=pl.col("n_tools") == 1)

    batch = requests_of(rows, ("dataset", "flag"))
    summary, _, _ = Case(tmp_path, rows, metadata=("dataset", "flag")).run()

    assert set(batch.scalars["flag"].tolist()) == {"true", "false"}
    assert summary["metadata"] == ["dataset", "flag"]


def test_keys_of_another_type_and_columns_of_lists_are_refused_in_words(tmp_path):
    rows = matrix(60).with_columns(tags=pl.concat_list("dataset"))
    Case(tmp_path, rows)
    parts = [tmp_path / f"{name}.parquet" for name in ("matrix", "train", "test")]

    with pytest.raises(UsageError, match=r"--metadata: 'tags' is List\(String\); a column holds one value a row"):
        bench.run(*parts, tmp_path / "out", MODELS, metadata=("tags",))
    pl.read_parquet(parts[1]).with_columns(prompt_id=pl.int_range(pl.len())).write_parquet(parts[1])
    with pytest.raises(ReadError, match=r"train.parquet: prompt_id is Int64, in the matrix it is String"):
        bench.run(*parts, tmp_path / "out", MODELS)


def test_blanking_with_nulls_changes_nothing_either(full, tmp_path):
    _, predictions, decisions = full
    rows = matrix()
    keys = rows.select(KEY).unique().sort(KEY)
    learned = keys.filter(pl.int_range(pl.len()) % 10 < 7).with_columns(kept=pl.lit(True))
    outcomes = ("quality", "cost_usd", "tokens_in", "tokens_out", "latency_s")
    blank = rows.join(learned, on=KEY, how="left").with_columns(
        pl.when("kept").then(name).alias(name) for name in outcomes
    )

    _, other_predictions, other_decisions = Case(tmp_path, blank.drop("kept")).run()

    assert other_predictions.equals(predictions)
    assert other_decisions.equals(decisions)
