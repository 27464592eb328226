import datetime
import json
import os
import string

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import SecurityError, UsageError
from fairlead.serve.security import files, keyfile, keys, keytext, signing
from fairlead.serve.security.keyfile import Keys, Limit
from fairlead.serve.security.signing import Ed25519, Hmac

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)


def pair():
    _, ed25519 = signing.needed()
    private = ed25519.Ed25519PrivateKey.generate()
    return Ed25519(private.public_key(), private)


SIGNERS = {"ed25519": pair(), "hmac": Hmac(b"k" * 32)}


def some_keys():
    content = Keys(written_at=NOW)
    for name, roles, limit in (
        ("litellm", ("gateway",), Limit(rate_per_s=50, burst=100)),
        ("ops", ("operator", "analyst"), None),
    ):
        content, _ = keys.issue(content, name, roles, now=NOW, limit=limit, scopes=(("chat",), ("a", "b")))
    return content


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
def test_a_file_says_what_was_written(tmp_path, signer):
    content = some_keys()

    keyfile.write(tmp_path / "keys.json", content, signer)

    assert keyfile.read(tmp_path / "keys.json", signer) == content
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


CONTENT = some_keys()
WRITTEN = {name: keyfile.encode(CONTENT, signer) for name, signer in SIGNERS.items()}


@pytest.mark.parametrize("kind", SIGNERS)
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_file_with_any_byte_changed_added_or_removed_is_refused(kind, data):
    written = WRITTEN[kind]
    at = data.draw(st.integers(0, len(written) - 1))
    how = data.draw(st.sampled_from(["change", "insert", "delete", "cut"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    tampered = {
        "change": written[:at] + byte + written[at + 1 :],
        "insert": written[:at] + byte + written[at:],
        "delete": written[:at] + written[at + 1 :],
        "cut": written[:at],
    }[how]

    if tampered == written:
        assert keyfile.decode(tampered, SIGNERS[kind]) == CONTENT
    else:
        with pytest.raises(SecurityError):
            keyfile.decode(tampered, SIGNERS[kind])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_what_is_no_file_of_keys_is_refused(data):
    with pytest.raises(SecurityError):
        keyfile.decode(data, SIGNERS["hmac"])


def test_a_role_more_a_later_end_or_a_revocation_less_is_refused():
    content = keys.revoke(CONTENT, CONTENT.keys[0].id, now=NOW)[0]
    written = json.loads(keyfile.encode(content, SIGNERS["ed25519"]))

    def changed(change):
        copy = json.loads(json.dumps(written))
        change(copy["content"]["keys"][0])
        return msgspec.json.format(json.dumps(copy).encode(), indent=2) + b"\n"

    for change in (
        lambda key: key["roles"].append("admin"),
        lambda key: key["secrets"][0].update(not_after="2036-01-01T00:00:00Z"),
        lambda key: key.update(revoked_at=None),
        lambda key: key.update(limit=None),
    ):
        with pytest.raises(SecurityError, match="signature is not one of"):
            keyfile.decode(changed(change), SIGNERS["ed25519"])


def test_the_same_content_written_another_way_is_refused():
    written = WRITTEN["ed25519"]

    with pytest.raises(SecurityError, match="changed after it was written"):
        keyfile.decode(written.replace(b'  "signed_by"', b'   "signed_by"'), SIGNERS["ed25519"])
    with pytest.raises(SecurityError, match="changed after it was written"):
        keyfile.decode(json.dumps(json.loads(written)).encode(), SIGNERS["ed25519"])


def test_another_keys_signature_and_one_for_another_purpose_are_refused():
    other, mine = pair(), SIGNERS["ed25519"]
    forged = keyfile.encode(CONTENT, other)
    payload = msgspec.json.encode(CONTENT, order="deterministic")

    with pytest.raises(SecurityError, match="signed by another key"):
        keyfile.decode(forged, mine)
    with pytest.raises(SecurityError, match="signature is not one of"):
        keyfile.decode(forged.replace(other.name.encode(), mine.name.encode()), mine)
    assert not mine.verify("keys", payload, mine.sign("audit checkpoint", payload))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o777])
def test_a_file_that_others_may_read_or_write_is_refused(tmp_path, mode):
    path = tmp_path / "keys.json"
    keyfile.write(path, CONTENT, SIGNERS["hmac"])
    path.chmod(mode)

    with pytest.raises(SecurityError, match=r"keys\.json: others may (read|write) it .*chmod 600"):
        keyfile.read(path, SIGNERS["hmac"])


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "keys.json"
    keyfile.write(path, CONTENT, SIGNERS["hmac"])
    os.chown(path, 12345, 12345)

    with pytest.raises(SecurityError, match="belongs to somebody else"):
        keyfile.read(path, SIGNERS["hmac"])


@pytest.mark.timeout(10)
def test_a_folder_a_pipe_and_a_file_that_is_missing_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)

    for name, fault in (
        (".", "cannot be read|not a regular"),
        ("pipe", "not a regular file"),
        ("none", "cannot be read"),
    ):
        with pytest.raises(SecurityError, match=fault):
            files.read(tmp_path / name)


def test_a_role_that_is_none_is_not_written(tmp_path):
    content, _ = keys.issue(Keys(written_at=NOW), "x", ("root",), now=NOW)

    with pytest.raises(SecurityError, match=r"no role \['root'\]"):
        keyfile.write(tmp_path / "keys.json", content, SIGNERS["hmac"])


def test_a_key_is_good_until_its_end_and_a_rotated_one_until_the_overlap_is_over():
    content, (key, first) = keys.issue(Keys(written_at=NOW), "a", ("gateway",), now=NOW, days=10)
    later = NOW + datetime.timedelta(days=5)
    content, (rotated, second) = keys.rotate(content, key.id, now=later, overlap_s=3600, days=10)

    ends = {one.sha256: one.not_after for one in rotated.secrets}

    assert ends == {
        keytext.digest(first): later + datetime.timedelta(hours=1),
        keytext.digest(second): later + datetime.timedelta(days=10),
    }
    moments = (
        NOW - datetime.timedelta(seconds=1),
        NOW,
        later + datetime.timedelta(days=9.9),
        later + datetime.timedelta(days=10),
    )
    assert [keys.state(rotated, moment) for moment in moments] == ["not_yet_valid", "valid", "valid", "expired"]
    assert keys.state(keys.revoke(content, key.id, now=later)[1][0], later) == "revoked"


def test_an_overlap_makes_no_secret_good_for_longer():
    content, (key, _) = keys.issue(Keys(written_at=NOW), "a", ("gateway",), now=NOW, days=1)

    _, (rotated, _) = keys.rotate(content, key.id, now=NOW, overlap_s=30 * 86400)

    assert rotated.secrets[0].not_after == NOW + datetime.timedelta(days=1)


def test_a_key_that_is_not_there_or_was_revoked_cannot_be_rotated():
    content, (key, _) = keys.issue(Keys(written_at=NOW), "a", ("gateway",), now=NOW)

    with pytest.raises(UsageError, match="no key has the id 'zzz'"):
        keys.rotate(content, "zzz", now=NOW, overlap_s=0)
    with pytest.raises(UsageError, match="was revoked"):
        keys.rotate(keys.revoke(content, key.id, now=NOW)[0], key.id, now=NOW, overlap_s=0)


def test_no_text_of_a_key_is_in_the_file():
    content, (_, text) = keys.issue(Keys(written_at=NOW), "a", ("gateway",), now=NOW)

    written = keyfile.encode(content, SIGNERS["hmac"])

    assert text.encode() not in written
    assert text.split("_")[2].encode() not in written


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_mistyped_key_is_told_without_looking_it_up(data):
    text = keytext.new("abcdefghij")
    at, further = data.draw(st.integers(14, len(text) - 1)), data.draw(st.integers(1, 61))
    digits = string.digits + string.ascii_letters
    other = digits[(digits.index(text[at]) + further) % 62]

    assert keytext.key_id(text) == "abcdefghij"
    assert keytext.key_id(text[:at] + other + text[at + 1 :]) is None


def test_a_key_pair_is_read_back_and_made_once(tmp_path):
    made = signing.make(tmp_path / "signing.key")

    signer, verifier = signing.signer(tmp_path / "signing.key"), signing.verifier(tmp_path / "signing.pub")

    assert signer.name == verifier.name == made
    assert verifier.verify("keys", b"data", signer.sign("keys", b"data"))
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecurityError, match="there is a key already"):
        signing.make(tmp_path / "signing.key")
    with pytest.raises(UsageError, match="public half"):
        verifier.sign("keys", b"data")


def test_a_shared_key_is_read_back_and_refused_where_others_may_read_it(tmp_path):
    made = signing.make(tmp_path / "signing.key", shared=True)

    assert signing.signer(tmp_path / "signing.key").name == signing.verifier(tmp_path / "signing.key").name == made
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(SecurityError, match="others may read"):
        signing.verifier(tmp_path / "signing.key")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "PEM"), (b"hmac-sha256:xyz", "hexadecimal"), (b"hmac-sha256:00ff", "16 bits are too few")],
)
def test_a_signing_key_that_is_none_is_refused(tmp_path, content, fault):
    files.write(tmp_path / "key", content)

    for read in (signing.signer, signing.verifier):
        with pytest.raises(SecurityError, match=fault):
            read(tmp_path / "key")
