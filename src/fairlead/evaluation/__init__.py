"""Policies valued on logged traffic: what other choices would have cost, and how good they would have been."""

from fairlead.evaluation.judge import judge, latest
from fairlead.evaluation.tune import Tuned, tune

__all__ = ["Tuned", "judge", "latest", "tune"]
