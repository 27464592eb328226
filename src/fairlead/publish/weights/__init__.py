"""Weights for gateways that cannot ask: the share of each endpoint that the policy would choose, and what to push."""

from fairlead.publish.weights.formats import FORMATS, written
from fairlead.publish.weights.push import pushed_of
from fairlead.publish.weights.shares import TOTAL, Shares, Target, parts, shares_of

__all__ = ["FORMATS", "TOTAL", "Shares", "Target", "parts", "pushed_of", "shares_of", "written"]
