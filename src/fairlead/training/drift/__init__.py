"""Is what was learned still true? Inputs, errors, calibration, latency and prices against the training window."""

from fairlead.training.drift.check import Check, worst
from fairlead.training.drift.run import drift, should_retrain

__all__ = ["Check", "drift", "should_retrain", "worst"]
