import msgspec
import numpy as np
import pytest
from safetensors.numpy import load, save

from fairlead.errors import FairleadError, SnapshotRefusedError
from fairlead.scoring import Request, Router, Snapshot, open_published
from fairlead.scoring.snapshot import CURRENT, LAST_GOOD, _digest


def test_a_snapshot_read_back_writes_the_same_bytes(make_snapshot):
    written = make_snapshot().to_bytes()

    again = Snapshot.from_bytes(written)

    assert again.to_bytes() == written
    assert again.endpoints == ("cheap", "dear")
    assert again.sha256


def test_no_mutant_is_taken_and_none_raises_anything_but_a_refusal(make_snapshot):
    good = make_snapshot().to_bytes()
    rng = np.random.default_rng(0)
    accepted, refused = [], 0
    for _ in range(3000):
        mutant = bytearray(good)
        kind, at = rng.integers(4), int(rng.integers(len(good)))
        if kind == 0:
            mutant[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del mutant[at : at + int(rng.integers(1, 9))]
        elif kind == 2:
            mutant[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            mutant[at : at + 8] = rng.bytes(8)[: len(mutant) - at]
        if bytes(mutant) == good:
            continue
        try:
            accepted.append(Snapshot.from_bytes(bytes(mutant)))
        except SnapshotRefusedError:
            refused += 1

    # White space in the header means nothing; what was read must be what was published, to the last bit.
    assert all(one.to_bytes() == good for one in accepted)
    assert len(accepted) <= 3
    assert refused > 2900


def resealed(data: bytes, change) -> bytes:
    arrays = load(data)
    header = msgspec.json.decode(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    manifest = msgspec.json.decode(header["fairlead"][64:])
    change(manifest, arrays)
    text = msgspec.json.encode(manifest).decode()
    return save(arrays, {"fairlead": _digest(text, arrays) + text})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m, a: m.update(format=1), "format 1, this fairlead reads 2; run `fairlead publish` to write it again"),
        (lambda m, a: m.update(format=3), "format 3, this fairlead reads 2; update fairlead"),
        (lambda m, a: m.update(heads=m["heads"] + m["heads"][-1:]), "two heads of one name"),
        (lambda m, a: m.update(feature_version=9), "request features of version 9"),
        (lambda m, a: m.update(surprise=1), "unknown field `surprise`"),
        (lambda m, a: a.pop("forest.leaves"), "not a fairlead snapshot"),
        (lambda m, a: a.update({"margins": np.zeros((1, 1))}), r"margins is \(1, 1\), expected \(2, 2\)"),
        (lambda m, a: a.update({"quality.table": np.zeros((9, 2))}), r"quality.table is \(9, 2\)"),
        (lambda m, a: a.update({"forest.shape": np.array([1, 0], np.uint16)}), "forests: nodes that form no tree"),
    ],
)
def test_a_sealed_file_that_does_not_fit_is_refused_with_the_reason(make_snapshot, change, fault):
    data = resealed(make_snapshot().to_bytes(), change)

    with pytest.raises(SnapshotRefusedError, match=fault):
        Snapshot.from_bytes(data)


def test_a_file_too_large_is_not_read(make_snapshot, tmp_path, monkeypatch):
    make_snapshot().write(tmp_path / CURRENT)
    monkeypatch.setattr("fairlead.scoring.snapshot.MAX_BYTES", 100)

    with pytest.raises(SnapshotRefusedError, match="more than the 100 bytes"):
        Snapshot.read(tmp_path / CURRENT)


def test_what_a_sealed_manifest_may_hold_is_refused_or_decides(make_snapshot):
    good = make_snapshot().to_bytes()
    rng = np.random.default_rng(1)
    refused = decided = 0
    for _ in range(300):

        def spoil(manifest, arrays):
            name = str(rng.choice(sorted(manifest)))
            manifest[name] = [None, 0, -1, "x", [], {}, [None], {"a": 1}, True, 1e300][int(rng.integers(10))]

        try:
            snapshot = Snapshot.from_bytes(resealed(good, spoil))
            Router(snapshot).decide(Request(id="r", route="maths"))
            decided += 1
        except FairleadError:
            refused += 1

    assert refused > 150
    assert decided > 10


def test_any_bytes_are_refused_and_nothing_else(make_snapshot):
    good = make_snapshot().to_bytes()
    length = int.from_bytes(good[:8], "little")
    cases = [b"", b"\x00" * 7, b"\xff" * 8, (2**63).to_bytes(8, "little") + good[8:], good[: 8 + length]]
    cases += [good[:8] + header.ljust(length) + good[8 + length :] for header in (b"[]", b"{}", b'{"__metadata__":{}}')]
    cases += [good[:8] + b"[" * length + good[8 + length :], good + b"\x00"]

    for case in cases:
        with pytest.raises(SnapshotRefusedError, match="not a fairlead snapshot"):
            Snapshot.from_bytes(case)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(make_snapshot, tmp_path, monkeypatch):
    make_snapshot(version=1).write(tmp_path / CURRENT)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("fairlead.scoring.whole.os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        make_snapshot(version=2).write(tmp_path / CURRENT)

    assert [path.name for path in tmp_path.iterdir()] == [CURRENT]
    assert Snapshot.read(tmp_path / CURRENT).manifest.version == 1


def test_the_last_good_snapshot_serves_when_the_current_is_damaged(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / LAST_GOOD)
    (tmp_path / CURRENT).write_bytes(make_snapshot(version=2).to_bytes()[:-1])

    snapshot, why = open_published(tmp_path)

    assert snapshot.manifest.version == 1
    assert CURRENT in why


def test_with_both_damaged_the_current_ones_fault_is_named(tmp_path):
    (tmp_path / CURRENT).write_bytes(b"not a snapshot")
    (tmp_path / LAST_GOOD).write_bytes(b"")

    with pytest.raises(SnapshotRefusedError, match=f"{CURRENT}: not a fairlead snapshot"):
        open_published(tmp_path)


def test_nothing_published_says_what_to_run(tmp_path):
    with pytest.raises(SnapshotRefusedError, match="run `fairlead publish`"):
        open_published(tmp_path / "none")


def test_writing_leaves_one_file_and_no_other(make_snapshot, tmp_path):
    make_snapshot(version=1).write(tmp_path / CURRENT)
    make_snapshot(version=2).write(tmp_path / CURRENT)

    assert [path.name for path in tmp_path.iterdir()] == [CURRENT]
    assert Snapshot.read(tmp_path / CURRENT).manifest.version == 2
