"""Why a decision fell as it did: exact shares of each feature, the constraint that bound, what would turn it."""

from fairlead.scoring.explain.change import Change
from fairlead.scoring.explain.explain import explain
from fairlead.scoring.explain.explanation import Bound, Explanation, GroupShare, HeadShares
from fairlead.scoring.explain.shapley import shapley

__all__ = ["Bound", "Change", "Explanation", "GroupShare", "HeadShares", "explain", "shapley"]
