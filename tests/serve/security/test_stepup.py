import base64
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import SecurityError
from fairlead.serve.security import files, totp
from fairlead.serve.security.sealed import VARIABLE, Seal
from fairlead.serve.security.stepup import StepUp

SEEDS = {"sha1": b"1234567890" * 2, "sha256": b"1234567890" * 4, "sha512": b"1234567890" * 7}
LENGTHS = {"sha1": 20, "sha256": 32, "sha512": 64}
VECTORS = [  # RFC 6238, appendix B
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]


@pytest.mark.parametrize(("moment", "sha1", "sha256", "sha512"), VECTORS)
def test_codes_are_those_of_the_standard(moment, sha1, sha256, sha512):
    codes = [
        totp.code(SEEDS[name][: LENGTHS[name]], moment // totp.STEP_S, digits=8, algorithm=name) for name in LENGTHS
    ]

    assert codes == [sha1, sha256, sha512]


def test_codes_are_those_of_the_standard_it_stands_on():
    codes = [totp.code(SEEDS["sha1"], counter) for counter in range(10)]  # RFC 4226, appendix D

    assert " ".join(codes) == "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(tmp_path, clock):
    return StepUp(tmp_path / "stepup.json", Seal(bytes(32)), clock)


def app(uri):
    """Give what an authenticator app shows at a moment."""
    secret = base64.b32decode(uri.split("secret=")[1].split("&")[0])
    return lambda moment: totp.code(secret, int(moment // totp.STEP_S))


def test_a_code_gives_a_token_for_one_key_one_action_and_five_minutes(desk, clock):
    show = app(desk.enrol("key1", "ops"))

    token, why = desk.exchange("key1", "promote", show(clock.now))
    held = [desk.holds(token, *asked) for asked in (("key1", "promote"), ("key2", "promote"), ("key1", "rollback"))]
    clock.now += 299
    just = desk.holds(token, "key1", "promote")
    clock.now += 2

    assert why == ""
    assert held == [True, False, False]
    assert (just, desk.holds(token, "key1", "promote")) == (True, False)


@pytest.mark.parametrize(("off_s", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_off_by_one_step(desk, clock, off_s, good):
    show = app(desk.enrol("key1", "ops"))

    token, _ = desk.exchange("key1", "promote", show(clock.now + off_s))

    assert bool(token) == good


def test_a_code_counts_once_and_none_before_it_counts_after(desk, clock):
    show = app(desk.enrol("key1", "ops"))

    answers = [desk.exchange("key1", "promote", show(clock.now + off_s))[1] for off_s in (0, 0, -30, 30, 30)]

    assert answers == ["", "wrong_code", "wrong_code", "", "wrong_code"]


def test_five_wrong_codes_lock_a_key_for_a_quarter_of_an_hour_and_no_other(desk, clock):
    show, other = app(desk.enrol("key1", "ops")), app(desk.enrol("key2", "ops"))
    right = {show(clock.now + off) for off in (-30, 0, 30)}
    wrong = next(f"{n:06}" for n in range(10) if f"{n:06}" not in right)

    tries = [desk.exchange("key1", "promote", wrong)[1] for _ in range(5)]
    locked = desk.exchange("key1", "promote", show(clock.now))
    free = desk.exchange("key2", "promote", other(clock.now))[1]
    clock.now += 901

    assert tries == ["wrong_code"] * 5
    assert locked == ("", "locked")
    assert free == ""
    assert desk.exchange("key1", "promote", show(clock.now))[1] == ""


@pytest.mark.parametrize("shown", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "\x00", "1" * 10_000])
def test_what_is_no_code_is_a_wrong_one(desk, shown):
    desk.enrol("key1", "ops")

    assert desk.exchange("key1", "promote", shown) == ("", "wrong_code")


def test_a_key_without_an_authenticator_gets_no_token(desk):
    desk.enrol("key1", "ops")
    desk.remove("key1")

    assert desk.exchange("key1", "promote", "000000") == ("", "not_enrolled")
    assert desk.enrolled() == frozenset()


def test_of_many_at_once_one_takes_a_code(tmp_path, clock):
    desks = [StepUp(tmp_path / "stepup.json", Seal(bytes(32)), clock) for _ in range(4)]
    shown, answers = app(desks[0].enrol("key1", "ops"))(clock.now), []

    threads = [
        threading.Thread(target=lambda one=one: answers.append(one.exchange("key1", "promote", shown)[1]))
        for one in desks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == ["", "wrong_code", "wrong_code", "wrong_code"]


TOKEN = StepUp.__new__(StepUp)
TOKEN._token_key, TOKEN._clock = bytes(32), lambda: 1_700_000_000.0


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_token_that_was_changed_is_none(data):
    token = TOKEN._token("key1", "promote")
    at = data.draw(st.integers(0, len(token)))
    changed = token[:at] + data.draw(st.text(max_size=3)) + token[at + data.draw(st.integers(0, 3)) :]

    assert TOKEN.holds(changed, "key1", "promote") == (changed == token)


def test_the_secret_is_nowhere_in_the_clear_and_of_no_use_to_another_key(tmp_path, desk, clock):
    uri = desk.enrol("key1", "ops")
    text = uri.split("secret=")[1].split("&")[0]
    path = tmp_path / "stepup.json"
    written = path.read_bytes()
    kept = json.loads(written)

    files.write(path, json.dumps({"key2": kept["key1"]}).encode())

    assert text.encode() not in written
    assert base64.b32decode(text) not in written
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SecurityError, match="totp:key2: this secret does not open"):
        desk.exchange("key2", "promote", app(uri)(clock.now))


def test_another_sealing_key_opens_nothing(tmp_path, desk, clock):
    shown = app(desk.enrol("key1", "ops"))(clock.now)

    with pytest.raises(SecurityError, match="does not open"):
        StepUp(tmp_path / "stepup.json", Seal(b"x" * 32), clock).exchange("key1", "promote", shown)


@settings(max_examples=200, deadline=None)
@given(secret=st.binary(max_size=100), data=st.data())
def test_a_sealed_secret_opens_as_it_was_and_not_once_changed(secret, data):
    seal = Seal(bytes(range(32)))
    closed = seal.close(secret, "totp:a")
    raw = bytearray(base64.b64decode(closed[3:]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert seal.open(closed, "totp:a") == secret
    assert seal.close(secret, "totp:a") != closed
    for other, purpose in (
        (closed, "totp:b"),
        ("v1:" + base64.b64encode(raw).decode(), "totp:a"),
        (closed[3:], "totp:a"),
    ):
        with pytest.raises(SecurityError):
            seal.open(other, purpose)


@pytest.mark.parametrize("closed", ["", "v1:", "v1:!", "v1:AAAA", "v2:AAAA"])
def test_what_is_no_sealed_secret_is_refused(closed):
    with pytest.raises(SecurityError, match="does not open"):
        Seal(bytes(32)).open(closed, "x")


def test_the_sealing_key_is_made_once_and_the_environment_comes_first(tmp_path, monkeypatch):
    path = tmp_path / "sealing.key"
    closed = Seal.of(path, make=True).close(b"secret", "x")

    assert Seal.of(path, make=True).open(closed, "x") == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv(VARIABLE, "00" * 32)
    with pytest.raises(SecurityError, match="does not open"):
        Seal.of(path).open(closed, "x")
    for bad, fault in (("zz", "not hexadecimal"), ("00", "of 1 bytes"), ("", "of 0 bytes")):
        monkeypatch.setenv(VARIABLE, bad)
        with pytest.raises(SecurityError, match=fault):
            Seal.of(path)
