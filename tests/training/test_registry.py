import numpy as np
import pytest
from msgspec.structs import replace

from fairlead import training
from fairlead.errors import GateError, ModelError, UsageError
from fairlead.publish import publish
from fairlead.scoring import Snapshot
from fairlead.scoring.snapshot import CURRENT
from fairlead.training import predictor as files
from fairlead.training.card import entry_of
from fairlead.training.champions import champion_of
from fairlead.training.registry import Registry


def test_what_was_trained_is_registered_as_champion_and_reads_back(trained):
    here, _ = trained

    champions = {name: champion_of(Registry(here.registry), name) for name in ("cost", "latency", "quality", "none")}

    assert {name: one.version for name, one in champions.items() if one} == {"cost": 1, "latency": 1, "quality": 1}
    assert champions["none"] is None
    assert len({one.predictor.signature for one in champions.values() if one}) == 1
    assert champions["quality"].predictor.endpoints == list(Snapshot.read(here.published / CURRENT).endpoints)


def test_a_predictor_written_and_read_is_the_same(trained, tmp_path):
    here, _ = trained
    first = champion_of(Registry(here.registry), "latency").predictor

    files.write(first, tmp_path / "copy")
    again = files.read(tmp_path / "copy")

    assert again.signature == first.signature
    assert [(head.plan, head.serve, head.trees, head.metrics, head.booster) for head in again.heads] == [
        (head.plan, head.serve, head.trees, head.metrics, head.booster) for head in first.heads
    ]
    for one, two in zip(again.heads, first.heads, strict=True):
        assert one.table.tolist() == two.table.tolist()
        assert one.oof_ids == two.oof_ids
    assert np.array_equal(again.endpoint_rows, first.endpoint_rows, equal_nan=True)


def test_nothing_in_the_registry_is_pickled(trained):
    here, _ = trained

    suffixes = {path.suffix for path in here.registry.rglob("*") if path.is_file()}

    assert suffixes <= {".db", ".txt", ".json", ".safetensors", ".yaml", ".md", ""}


def test_a_tampered_artifact_is_not_loaded(project, trained, tmp_path):
    here, _ = trained
    registry = Registry(tmp_path / "registry")
    champion = champion_of(Registry(here.registry), "quality")
    registered = registry.register(entry_of(champion.predictor, champion.rows, "first"), "first")
    registry.promote(registered)
    assert champion_of(registry, "quality").version == 1

    text = next((tmp_path / "registry").rglob("quality.lgb.txt"))
    text.write_text(text.read_text().replace("leaf_value=", "leaf_value=1", 1))

    with pytest.raises(ModelError, match="quality version 1: its files do not match their SHA-256"):
        champion_of(registry, "quality")


def test_a_missing_file_says_to_train_again(trained, tmp_path):
    here, _ = trained
    files.write(champion_of(Registry(here.registry), "quality").predictor, tmp_path / "copy")
    (tmp_path / "copy" / "arrays.safetensors").unlink()

    with pytest.raises(ModelError, match=r"cannot be read .* train again"):
        files.read(tmp_path / "copy")


def test_training_without_logs_or_on_a_wrong_share_is_said_plainly(project):
    with pytest.raises(UsageError, match="holdout must be a share"):
        training.train(project, holdout=1.0)
    with pytest.raises(Exception, match="no attempts to learn from; run `fairlead ingest`"):
        training.train(project)


def test_a_feature_that_does_not_exist_is_named(project, trained):
    here, _ = trained
    model = here.models / "latency.toml"
    before = model.read_text()
    model.write_text(before.replace("endpoint_day.*", "endpoint_week.*"))
    try:
        with pytest.raises(
            ModelError, match=r"latency.toml: no feature 'endpoint_week.\*'; write one of .*endpoint_day"
        ):
            training.train(here)
    finally:
        model.write_text(before)


def test_publishing_without_champions_says_to_train(project):
    with pytest.raises(GateError, match="no champion of 'cost' is registered; run `fairlead train`"):
        publish(project)


def test_predictors_of_different_vocabularies_are_not_published_together(trained):
    from fairlead.publish import assemble

    here, _ = trained
    registry = Registry(here.registry)
    cost, quality = (champion_of(registry, name).predictor for name in ("cost", "quality"))
    other = replace(quality, endpoints=["another", *quality.endpoints[1:]])

    with pytest.raises(GateError, match="trained on different endpoints, routes or features; run `fairlead train`"):
        assemble([cost, other], [], policy="intelligent", parameters={}, version=1, lineage={})
