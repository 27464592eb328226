"""Any order of calls, outcomes, pauses and snapshots, against what a careful clerk would have written down."""

import numpy as np
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.scoring import Outcome
from fairlead.scoring.live import Live, Settings, available

NAMES = ("a", "b", "c", "d")
SETTINGS = Settings(refresh_s=0, calls_max=5, conversations_max=4, call_max_s=100)
ERRORS = ("server", "timeout", "rate_limit", "context_length", "budget", None, "unheard of")


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.live = Live(NAMES, SETTINGS, clock=lambda: self.now)
        self.open = {name: {} for name in NAMES}  # request -> when it began
        self.number = 0

    @rule(name=st.sampled_from(NAMES), tokens=st.floats(-5, 1e6), conversation=st.sampled_from([None, *"stuvwxyz"]))
    def begin(self, name, tokens, conversation):
        self.number += 1
        request = f"r-{self.number}"
        self.live.begin(name, request, tokens, conversation)
        if name in self.live.endpoints:
            self.open[name][request] = self.now
            if len(self.open[name]) > SETTINGS.calls_max:
                del self.open[name][next(iter(self.open[name]))]

    @rule(
        data=st.data(),
        name=st.sampled_from(NAMES),
        status=st.sampled_from(["ok", "error", "cancelled", "blocked"]),
        error=st.sampled_from(ERRORS),
        seconds=st.sampled_from([None, 0.0, 0.5, 40.0, -1.0, float("nan"), float("inf")]),
        retry=st.sampled_from([None, 0.0, 20.0, float("nan"), 1e300]),
        headroom=st.sampled_from([None, 0.0, 0.5, 7.0, float("nan")]),
        quality=st.sampled_from([None, None, 0.5]),
    )
    def end(self, data, name, status, error, seconds, retry, headroom, quality):
        request = data.draw(st.sampled_from([*self.open[name], "never begun"]))
        self.live.end(
            Outcome(
                endpoint=name,
                request_id=request,
                status=status,
                error_class=error,
                duration_s=seconds,
                retry_after_s=retry,
                headroom=headroom,
                quality=quality,
                input_tokens=100,
            )
        )
        if name in self.live.endpoints:
            self.open[name].pop(request, None)

    @rule(name=st.sampled_from(NAMES))
    def fail_again_and_again(self, name):
        for _ in range(5):
            self.live.end(Outcome(endpoint=name, status="error", duration_s=0.01))

    @rule(seconds=st.floats(0, 70))
    def wait(self, seconds):
        self.now += seconds

    @rule(names=st.permutations(NAMES), many=st.integers(1, 4))
    def take_a_snapshot(self, names, many):
        self.live.resize(names[:many])
        for name in names[many:]:
            self.open[name] = {}

    @invariant()
    def it_is_as_the_clerk_says(self):
        view, names = self.live.view(), self.live.endpoints
        counted = [sum(at >= self.now - SETTINGS.call_max_s for at in self.open[name].values()) for name in names]

        assert view.in_flight.tolist() == counted
        assert not (view.latency_s < 0).any()
        for share in (view.error_share, view.headroom, view.admitted):
            assert ((share >= 0) & (share <= 1)).all()
        assert (view.admitted >= SETTINGS.slow_start_share).all()
        assert ((view.returns_in_s >= 0) & (view.returns_in_s <= SETTINGS.wait_max_s * (1 + 1e-9))).all()
        assert not view.returns_in_s[view.available].any()

    @invariant()
    def the_last_one_is_never_out(self):
        view = self.live.view()
        eligible = np.eye(len(self.live.endpoints), dtype=bool)

        usable, _ = available(eligible, view)

        assert (usable == eligible).all()

    @invariant()
    def memory_is_bounded(self):
        assert len(self.live.warmth) <= SETTINGS.conversations_max
        assert (self.live.view().in_flight <= SETTINGS.calls_max).all()


Machine.TestCase.settings = how(max_examples=20, stateful_step_count=30, deadline=None)
test_any_order_of_events = Machine.TestCase
