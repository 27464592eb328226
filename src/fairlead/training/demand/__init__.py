"""How much is coming: requests, tokens and dollars ahead, with intervals that hold while the traffic changes."""

from fairlead.training.demand import gate, model, plan, windows

__all__ = ["gate", "model", "plan", "windows"]
