"""What is out of the ordinary: spend, latency, errors, quality, shares, and the slice that explains it."""

from fairlead.training.anomaly import hours, model, plan

__all__ = ["hours", "model", "plan"]
