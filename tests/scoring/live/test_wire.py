import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.scoring.live.wire import Row, fingerprint, pack, shifted, unpack


def _sent(endpoints=2, ended=(5, 6)):
    hashes = np.array([fingerprint(str(number)) for number in range(endpoints)], dtype=np.uint64)
    rows = np.array([Row.NEW] * endpoints, dtype=np.float64).reshape(endpoints, Row.FIELDS)
    return pack(7, 100.0, hashes, rows, list(ended), 12)


def test_what_is_told_is_heard():
    peer = unpack(_sent())

    assert (peer.node, peer.now, peer.ended, peer.ended_ever) == (7, 100.0, (5, 6), 12)
    assert peer.hashes.tolist() == [fingerprint("0"), fingerprint("1")]
    assert np.array_equal(peer.rows, [Row.NEW] * 2, equal_nan=True)


def test_nothing_but_a_whole_message_is_read():
    sent = _sent()

    assert [unpack(sent[:length]) for length in range(len(sent))] == [None] * len(sent)
    assert unpack(sent + b"\0") is None


@given(st.data())
def test_a_changed_byte_is_noticed(data):
    sent = bytearray(_sent())
    place = data.draw(st.integers(0, len(sent) - 1))
    sent[place] ^= data.draw(st.integers(1, 255))

    assert unpack(bytes(sent)) is None


@given(st.binary(max_size=500))
def test_garbage_is_not_read(data):
    assert unpack(data) is None
    assert unpack(b"FLV1" + data) is None


@given(st.lists(st.floats(), min_size=Row.FIELDS, max_size=Row.FIELDS))
def test_a_writer_that_is_wrong_is_bounded(row):
    peer = unpack(pack(7, 100.0, np.array([1], np.uint64), np.array([row]), (), 0))

    read = peer.rows[0]
    assert not np.isnan(np.delete(read, Row.LATENCY)).any()
    assert 0 <= read[Row.IN_FLIGHT] <= 1e6
    assert read[Row.UNTIL] <= 3700
    assert read[Row.VERDICT_AT] <= 100
    assert 0 <= read[Row.SAID] <= 1


@pytest.mark.parametrize("endpoints", [0, 1, 64])
def test_moments_move_to_another_clock_and_nothing_else_does(endpoints):
    peer = unpack(_sent(endpoints))

    moved = shifted(peer, 50.0)

    others = [field for field in range(Row.FIELDS) if field not in Row.MOMENTS]
    assert np.array_equal(moved.rows[:, Row.MOMENTS], peer.rows[:, Row.MOMENTS] + 50)
    assert np.array_equal(moved.rows[:, others], peer.rows[:, others], equal_nan=True)
    assert moved.now == 150.0
