import pytest

from fairlead import project
from fairlead.errors import ModelError
from fairlead.training import spec

GOOD = """
features = ["request_shape.*"]
heads = [{ name = "quality", target = "quality" }]
[gate]
metric = "brier"
"""


def test_every_declared_predictor_reads():
    declared = {one.name: [head.name for head in one.heads] for one in spec.read_all(project.defaults() / "models")}

    assert declared == {
        "cost": ["input_tokens", "output_tokens", "output_tokens_p90"],
        "latency": ["latency_s", "latency_p90_s"],
        "quality": ["quality"],
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('metric = "brier"', 'metric = "brier"\nat_mots = 2', "unknown field `at_mots`.*did you mean `at_most`"),
        ('metric = "brier"', 'metric = "auc"', "Invalid enum value 'auc' - at `\\$.gate.metric`"),
        ('target = "quality"', 'target = "quality", alpha = 0.5', "quality takes no alpha"),
        ('target = "quality"', 'target = "duration_s"', "every other target needs one"),
        ('target = "quality"', 'target = "speed"', "Invalid enum value 'speed'"),
        ("[gate]", "[params]\nnum_leaves = 100\n[gate]", "num_leaves"),
        ("features =", "features", "not valid TOML"),
        ('heads = [{ name = "quality", target = "quality" }]', "heads = []", "no heads"),
    ],
)
def test_a_fault_is_named_with_file_and_key(tmp_path, old, new, fault):
    path = tmp_path / "quality.toml"
    path.write_text(GOOD.replace(old, new))

    with pytest.raises(ModelError, match=fault) as refused:
        spec.read(path)
    assert str(path) in str(refused.value)


def test_an_empty_folder_says_what_to_add(tmp_path):
    with pytest.raises(ModelError, match="no predictor is declared here; add a TOML file"):
        spec.read_all(tmp_path)
