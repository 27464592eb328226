import random
import sys

import msgspec
import pytest

from fairlead.serve.security import files
from fairlead.serve.security.alerts import STRANGER, Alerts, Settings, network
from fairlead.serve.security.alerts_kept import exchange

DAY = 86400.0


def kinds(alerts, calls):
    """Give the kinds of all alerts of calls (key, address, refused, moment)."""
    return [alert.kind for call in calls for alert in alerts.saw(*call)]


def usual(rng, minutes, mean, key="a", address="192.0.2.1", start=1e9):
    """Give a key's calls, about `mean` a minute, spread as a steady crowd's."""
    for minute in range(minutes):
        for _ in range(max(1, round(rng.gauss(mean, mean**0.5)))):
            yield key, address, rng.random() < 0.02, start + 60 * minute + 30


@pytest.mark.parametrize("mean", [1, 10, 60, 200])
def test_two_days_of_usual_use_tell_nothing(mean):
    calls = usual(random.Random(mean), 2 * 1440 if mean < 60 else 600, mean)

    assert kinds(Alerts(), calls) == []


def test_a_day_that_swells_and_falls_tells_nothing():
    rng, alerts = random.Random(3), Alerts()
    calls = [
        call
        for hour in range(48)
        for call in usual(rng, 60, 20 + 40 * abs(12 - hour % 24) / 12, start=1e9 + 3600 * hour)
    ]

    assert kinds(alerts, calls) == []


def test_a_minute_far_over_a_keys_own_is_a_burst_and_told_once_an_hour():
    alerts = Alerts()
    before = kinds(alerts, usual(random.Random(1), 60, 20))

    told = [alert for _ in range(500) for alert in alerts.saw("a", "192.0.2.1", False, 1e9 + 3601)]

    assert before == []
    assert [alert.kind for alert in told] == ["burst"]
    assert told[0].told["rate"] > 4 * told[0].told["usual"] > 60


def test_what_is_a_burst_for_one_key_is_usual_for_another():
    alerts = Alerts()

    assert kinds(alerts, usual(random.Random(1), 60, 300, key="big")) == []


def test_a_new_key_has_no_usual_and_bursts_at_nothing():
    assert kinds(Alerts(), [("a", "192.0.2.1", False, 1e9) for _ in range(1000)]) == []


def test_a_further_network_is_told_and_the_same_one_again_is_not():
    alerts = Alerts()
    addresses = ["192.0.2.1", "192.0.2.200", "198.51.100.1", "192.0.2.1", "198.51.100.9", "2001:db8::1"]

    told = [len(alerts.saw("a", address, False, 1e9 + number)) for number, address in enumerate(addresses)]

    assert told == [0, 0, 1, 0, 0, 1]


def test_use_after_a_month_of_silence_is_told():
    alerts = Alerts()
    alerts.saw("a", "192.0.2.1", False, 1e9)

    assert kinds(alerts, [("a", "192.0.2.1", False, 1e9 + 29 * DAY)]) == []
    assert kinds(alerts, [("a", "192.0.2.1", False, 1e9 + 60 * DAY)]) == ["silence"]


def test_many_refusals_of_a_key_are_told_and_so_is_a_wave_of_strangers():
    for key in ("a", STRANGER):
        alerts = Alerts()

        assert kinds(alerts, [(key, "192.0.2.1", True, 1e9 + n) for n in range(60)]) == ["refusals"]


def test_refusals_among_many_good_calls_are_not_told():
    calls = [("a", "192.0.2.1", number % 3 == 0, 1e9 + number) for number in range(600)]

    assert kinds(Alerts(), calls) == []


def test_strangers_from_everywhere_tell_of_no_networks():
    alerts = Alerts()
    calls = [(STRANGER, f"192.{n}.2.1", True, 1e9 + 60 * n) for n in range(200)]

    assert kinds(alerts, calls) == []


def test_memory_stays_bounded_whatever_comes():
    alerts = Alerts(Settings(keys=50))
    rng = random.Random(1)
    for number in range(20_000):
        alerts.saw(f"key{rng.randrange(500)}", f"2001:db8:{rng.randrange(65536):x}::1", False, 1e9 + number)

    assert len(alerts.known) == 50
    assert max(len(one.networks) for one in alerts.known.values()) <= 16
    assert sum(sys.getsizeof(msgspec.json.encode(one)) for one in alerts.known.values()) < 50 * 1500


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("nonsense", "unknown"),
        ("", "local"),
        (None, "local"),
    ],
)
def test_addresses_are_told_apart_by_network(address, expected):
    assert network(address) == expected


def test_workers_know_what_others_saw_and_what_was_before_a_restart(tmp_path):
    one, other, path = Alerts(), Alerts(), tmp_path / "uses.json"
    one.saw("a", "192.0.2.1", False, 1e9)
    other.saw("a", "198.51.100.1", False, 1e9 + 1)
    other.saw("b", "192.0.2.1", False, 1e9 + 1)

    exchange(one, path)
    exchange(other, path)
    restarted = Alerts()
    exchange(restarted, path)

    assert kinds(other, [("a", "192.0.2.9", False, 1e9 + 2)]) == []
    assert kinds(restarted, [("a", a, False, 1e9 + 2) for a in ("192.0.2.9", "198.51.100.9")]) == []
    assert kinds(restarted, [("b", "192.0.2.9", False, 1e9 + 90 * DAY)]) == ["silence"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"{", b'{"a": {"networks": 1}}', b"\xff"])
def test_what_was_kept_and_cannot_be_read_is_learned_again(tmp_path, damage):
    alerts, path = Alerts(), tmp_path / "uses.json"
    files.write(path, damage)
    alerts.saw("a", "192.0.2.1", False, 1e9)

    exchange(alerts, path)

    assert list(msgspec.json.decode(path.read_bytes())) == ["a"]
