from pathlib import Path

import pytest

from fairlead.errors import ModelError
from fairlead.training import spec
from fairlead.training.spec import Gate, HeadPlan, Params, Spec

GOOD = """\
features = ["request_shape.*"]
heads = [{ name = "quality", target = "quality" }]
[params]
rounds = 7
[gate]
metric = "brier"
"""


def refused(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ModelError) as fault:
        spec.read(path)
    return str(fault.value)


def test_a_file_is_read_with_its_defaults_and_named_after_itself(tmp_path: Path) -> None:
    path = tmp_path / "quality.toml"
    path.write_text(GOOD)

    assert spec.read(path) == Spec(
        name="quality",
        features=["request_shape.*"],
        heads=[HeadPlan(name="quality", target="quality")],
        params=Params(rounds=7),
        gate=Gate(metric="brier", at_most=1.02),
    )


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("ronuds = 7", "rounds"), ("num_leafs = 7", "num_leaves"), ("learning_rates = 0.1", "learning_rate")],
)
def test_a_key_that_is_misspelt_is_refused_with_the_nearest_one(tmp_path: Path, wrong: str, right: str) -> None:
    path = tmp_path / "quality.toml"
    key = wrong.split(" ", maxsplit=1)[0]

    said = refused(path, GOOD.replace("rounds = 7", wrong))

    assert said == f"{path}: Object contains unknown field `{key}` - at `$.params`; did you mean `{right}`?"


def test_a_misspelt_table_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "quality.toml"

    assert refused(path, GOOD.replace("[params]", "[parms]")) == (
        f"{path}: Object contains unknown field `parms`; did you mean `params`?"
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rounds = 7", "rounds = 0", "Expected `int` >= 1 - at `$.params.rounds`"),
        ("rounds = 7", 'rounds = "7"', "Expected `int`, got `str` - at `$.params.rounds`"),
        ('metric = "brier"', 'metric = "auc"', "Invalid enum value 'auc' - at `$.gate.metric`"),
        ('target = "quality"', 'target = "joy"', "Invalid enum value 'joy' - at `$.heads[0].target`"),
        ("[gate]", "[other]", "Object contains unknown field `other`"),
        ('heads = [{ name = "quality", target = "quality" }]', "heads = []", "no heads; name at least one number to"),
        (
            'target = "quality"',
            'target = "quality", alpha = 0.5',
            "head 'quality': quality and failed take no alpha, every other target needs one",
        ),
        (
            'target = "quality"',
            'target = "duration_s"',
            "head 'quality': quality and failed take no alpha, every other target needs one",
        ),
        ("[params]", "[params", "not valid TOML ("),
    ],
)
def test_what_cannot_be_is_refused_with_the_file_and_the_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "quality.toml"

    assert refused(path, GOOD.replace(old, new)).startswith(f"{path}: {said}")


def test_two_heads_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "quality.toml"
    twice = '{ name = "quality", target = "quality" }, { name = "quality", target = "quality" }'

    assert refused(path, GOOD.replace('{ name = "quality", target = "quality" }', twice)) == (
        f"{path}: two heads are named 'quality'; rename one"
    )


def test_a_folder_is_read_by_name_and_an_empty_one_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as fault:
        spec.read_all(tmp_path)
    (tmp_path / "b.toml").write_text(GOOD.replace('name = "quality"', 'name = "other"'))
    (tmp_path / "a.toml").write_text(GOOD)

    assert str(fault.value) == (
        f"{tmp_path}: no predictor is declared here; add a TOML file, see {tmp_path / 'README.md'}"
    )
    assert [one.name for one in spec.read_all(tmp_path)] == ["a", "b"]


def test_a_head_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(GOOD)

    with pytest.raises(ModelError) as fault:
        spec.read_all(tmp_path)

    assert str(fault.value) == (f"{tmp_path / 'b.toml'}: head 'quality' is also in {tmp_path / 'a.toml'}; rename one")
