import datetime
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.security import audit_entry, keytext, signing
from fairlead.serve.security.audit import Audit, checkpoints_of
from fairlead.serve.security.audit_check import verify
from fairlead.serve.security.audit_head import head_of
from fairlead.serve.security.signing import Ed25519, Hmac

NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)
EVERY = 10
PLACES = st.integers(0, 44)
BYTES = [byte for byte in range(256) if byte != 10]


def pair():
    _, ed25519 = signing.needed()
    private = ed25519.Ed25519PrivateKey.generate()
    return Ed25519(private.public_key(), private)


SIGNER = pair()


def fill(folder, entries, signer=SIGNER):
    log = Audit(folder / "audit.jsonl", signer, every=EVERY, clock=lambda: NOW)
    for number in range(entries):
        log.add("action.admitted", "abcdefghij", action="promote", count=number)
    return log


def check(folder, **options):
    return verify(folder / "audit.jsonl", SIGNER, every=EVERY, **options)


def test_entries_are_chained_and_every_tenth_line_is_a_signed_checkpoint(tmp_path):
    fill(tmp_path, 24)

    lines = [json.loads(one) for one in (tmp_path / "audit.jsonl").read_bytes().splitlines()]
    verdict = check(tmp_path)

    assert [one["sequence"] for one in lines] == list(range(27))
    assert [one["sequence"] for one in lines if one["event"] == "checkpoint"] == [0, 10, 20]
    assert (verdict.sound, verdict.entries, verdict.signed_until, verdict.torn) == (True, 27, 20, False)
    assert Audit(tmp_path / "audit.jsonl").last(2) == lines[-2:]
    assert lines[-1] == {
        "actor": "abcdefghij",
        "at": "2026-11-26T00:00:00.000Z",
        "detail": {"action": "promote", "count": 23},
        "event": "action.admitted",
        "previous": audit_entry.digest((tmp_path / "audit.jsonl").read_bytes().splitlines()[-2]),
        "sequence": 26,
    }
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    fill(folder, 40)
    return folder


def beside(kept, folder):
    """Copy what lies beside a log, as it was."""
    for where in (checkpoints_of, head_of):
        path = where(folder / "audit.jsonl")
        path.write_bytes(where(kept / "audit.jsonl").read_bytes())
        path.chmod(0o600)


def edits(lines, draw):
    """Give lines that were tampered with, and how."""
    how, at = draw(st.sampled_from(["byte", "delete", "swap", "insert", "repeat", "cut", "rewrite"])), draw(PLACES)
    head, line, rest = lines[:at], lines[at], lines[at + 1 :]
    if how == "byte":
        place = draw(st.integers(0, len(line) - 1))
        return [*head, line[:place] + bytes([draw(st.sampled_from(BYTES))]) + line[place + 1 :], *rest], how
    if how == "swap":
        first, last = sorted((at, draw(st.integers(0, len(lines) - 1))))
        changed = list(lines)
        changed[first], changed[last] = changed[last], changed[first]
        return changed, how
    return {
        "delete": [*head, *rest],
        "insert": [*head, line.replace(b"promote", b"x"), line, *rest],
        "repeat": [*head, line, line, *rest],
        "cut": head,
        "rewrite": forged(lines, at),
    }[how], how


def forged(lines, at):
    """Change a line and make every hash after it right again, as somebody without the signing key can."""
    out, previous = lines[:at], audit_entry.digest(lines[at - 1]) if at else audit_entry.GENESIS
    for number, line in enumerate(lines[at:]):
        entry = json.loads(line) | {"previous": previous}
        if number == 0:
            entry["actor"] = "someoneels"
        out.append(audit_entry.line(entry))
        previous = audit_entry.digest(out[-1])
    return out


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_every_edit_is_found_and_the_first_broken_line_named(kept, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("edited", numbered=True)
    lines = (kept / "audit.jsonl").read_bytes().splitlines()
    assert len(lines) == 45
    changed, how = edits(lines, data.draw)
    (folder / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in changed))
    beside(kept, folder)

    verdict = check(folder)

    differ = (number for number, line in enumerate(lines) if changed[number : number + 1] != [line])
    same = next(differ, len(lines))  # lines before the first that is another
    assert verdict.sound == (changed == lines)
    if changed == lines:
        return
    if how == "cut":
        assert verdict.reason == "cut short: there was an entry at sequence 44"
    if (
        how in {"byte", "insert", "rewrite"} and same % EVERY
    ):  # hashes can be made right again, up to the next signature
        assert same < verdict.broken_line <= min((same // EVERY + 1) * EVERY, 44) + 1
    else:
        assert verdict.broken_line == same + 1


def test_a_log_set_back_with_all_that_is_beside_it_is_found_by_a_copy_of_the_checkpoints(tmp_path):
    log = fill(tmp_path, 13)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(12):
        log.add("key.new", "operator")
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(checkpoints_of(log.path).read_bytes())
    for path, content in before.items():
        path.write_bytes(content)

    assert (check(tmp_path).sound, check(tmp_path).entries) == (True, 15)
    assert check(tmp_path, checkpoints=copy).reason == "cut short: there was a checkpoint at sequence 20"


def test_a_log_without_what_is_beside_it_is_told(kept, tmp_path):
    (tmp_path / "audit.jsonl").write_bytes((kept / "audit.jsonl").read_bytes())
    alone = check(tmp_path)
    beside(kept, tmp_path)
    head_of(tmp_path / "audit.jsonl").write_bytes(head_of(kept / "audit.jsonl").read_bytes().replace(b"44", b"43"))

    assert alone.reason == "what the last entry was is no longer beside the log"
    assert "not signed by" in check(tmp_path).reason


@pytest.mark.parametrize("change", ["edit", "cut", "empty", "gone"])
def test_a_log_whose_end_was_changed_is_not_written_on(tmp_path, change):
    fill(tmp_path, 5)
    path = tmp_path / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b"promote", b"demote")
    path.write_bytes({"edit": b"".join(lines), "cut": b"".join(lines[:-1]), "empty": b"", "gone": b""}[change])
    if change == "gone":
        path.unlink()

    with pytest.raises(SecurityError, match="its end is not what was written; see `fairlead doctor`"):
        fill(tmp_path, 1)


def test_a_log_signed_by_nobody_or_somebody_else_does_not_pass(tmp_path):
    for name, signer in (("nobody", None), ("else", pair()), ("shared", Hmac(bytes(32)))):
        (tmp_path / name).mkdir()
        fill(tmp_path / name, 5, signer)

    verdicts = {name: check(tmp_path / name) for name in ("nobody", "else", "shared")}

    assert {name: one.broken_line for name, one in verdicts.items()} == dict.fromkeys(verdicts, 1)
    assert verify(tmp_path / "nobody" / "audit.jsonl").sound  # the chain alone


def test_a_long_line_in_the_middle_is_no_unfinished_end(kept, tmp_path):
    lines = (kept / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "audit.jsonl").write_bytes(b"".join([*lines[:5], b"x" * 200_000, b"\n", *lines[6:]]))

    verdict = check(tmp_path)

    assert (verdict.broken_line, verdict.reason, verdict.torn) == (6, "longer than any entry is", False)


@pytest.mark.parametrize("kept_bytes", [1, 30, 200])
def test_an_unfinished_last_line_is_set_aside_and_told(tmp_path, kept_bytes):
    log = fill(tmp_path, 3)
    path = tmp_path / "audit.jsonl"
    torn = path.read_bytes().splitlines()[-1][:kept_bytes]
    with path.open("ab") as out:
        out.write(torn)

    before = check(tmp_path)
    log.add("key.new", "operator")
    after = check(tmp_path)

    assert (before.sound, before.torn, before.entries) == (True, True, 4)
    assert (after.sound, after.torn, after.entries) == (True, False, 6)
    told = json.loads(path.read_bytes().splitlines()[-2])
    assert (told["event"], told["detail"]["bytes"]) == ("audit.torn", kept_bytes)
    assert (tmp_path / told["detail"]["file"]).read_bytes() == torn


def test_a_log_whose_last_line_is_no_entry_is_not_written_on(tmp_path):
    (tmp_path / "audit.jsonl").write_bytes(b"not an entry\n")
    (tmp_path / "audit.jsonl").chmod(0o600)

    with pytest.raises(SecurityError, match="last whole line is no entry; see `fairlead doctor`"):
        Audit(tmp_path / "audit.jsonl").add("key.new", "operator")


def test_a_log_that_others_may_read_is_not_written_on(tmp_path):
    log = fill(tmp_path, 1)
    (tmp_path / "audit.jsonl").chmod(0o644)

    with pytest.raises(SecurityError, match="others may read it"):
        log.add("key.new", "operator")


WRITER = """
import sys
from pathlib import Path
from fairlead.serve.security import signing
from fairlead.serve.security.audit import Audit
folder = Path(sys.argv[1])
log = Audit(folder / "audit.jsonl", signing.signer(folder / "audit.key"), every=10)
number = 0
while True:
    log.add("action.admitted", sys.argv[2], count=number)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def test_writers_that_are_killed_lose_no_entry_that_was_told_and_break_no_chain(tmp_path):
    signing.make(tmp_path / "audit.key")
    path, told = tmp_path / "audit.jsonl", {}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    draw = random.Random(7)
    for round_ in range(4):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), f"{round_}-{number}"],
                stdout=subprocess.PIPE,
                env=environment,
            )
            for number in range(2)
        ]
        firsts = [one.stdout.readline() for one in writers]
        time.sleep(draw.uniform(0.02, 0.2))
        for number, one in enumerate(writers):
            one.send_signal(signal.SIGKILL)
            rest = one.stdout.read()
            told[f"{round_}-{number}"] = [int(x) for x in (firsts[number] + rest).split(b"\n")[:-1]]
            one.stdout.close()
            one.wait()
    Audit(path, signing.signer(tmp_path / "audit.key"), every=10).add("key.new", "last")

    verdict = verify(path, signing.verifier(tmp_path / "audit.pub"), every=10)

    entries = [json.loads(one) for one in path.read_bytes().splitlines()]
    kept = {name: [one["detail"]["count"] for one in entries if one["actor"] == name] for name in told}
    assert verdict.sound
    assert not verdict.torn
    assert verdict.entries == len(entries) > 8
    assert {name: counts[: len(told[name])] for name, counts in kept.items()} == told
    assert all(len(counts) <= len(told[name]) + 1 for name, counts in kept.items())


def test_two_writers_in_one_process_share_one_chain(tmp_path):
    log = Audit(tmp_path / "audit.jsonl", SIGNER, every=EVERY)
    logs = [log, Audit(tmp_path / "audit.jsonl", SIGNER, every=EVERY)]

    threads = [threading.Thread(target=lambda one=one: [one.add("a", "b") for _ in range(25)]) for one in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    verdict = check(tmp_path)
    assert (verdict.sound, verdict.entries) == (True, 56)


def test_an_entry_has_no_field_for_a_prompt_and_no_secret_gets_into_one(tmp_path):
    log, text = Audit(tmp_path / "audit.jsonl"), keytext.new("abcdefghij")

    with pytest.raises(UsageError, match="the audit log has no field 'prompt'"):
        log.add("action.admitted", "a", prompt="What is it?")
    log.add("action.admitted", "a", reason=f"key {text}", name="x" * 1000, roles=(text, "admin"))

    written = (tmp_path / "audit.jsonl").read_bytes()
    assert text.encode() not in written
    assert json.loads(written)["detail"] == {
        "name": "x" * 200,
        "reason": "(a secret)",
        "roles": ["(a secret)", "admin"],
    }


def test_an_entry_that_cannot_be_kept_is_told(tmp_path, monkeypatch):
    log = fill(tmp_path, 1)
    monkeypatch.setattr(
        os, "write", lambda descriptor, data: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )

    with pytest.raises(SecurityError, match=r"cannot be kept \(No space left on device\)"):
        log.add("key.new", "operator")
    monkeypatch.undo()
    log.add("key.new", "operator")

    assert check(tmp_path).sound


def test_a_log_that_is_missing_is_told(tmp_path):
    with pytest.raises(SecurityError, match="cannot be read"):
        verify(tmp_path / "audit.jsonl")
