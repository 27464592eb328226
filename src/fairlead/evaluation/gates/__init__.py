"""Whether a candidate snapshot may take the place of the one in use: promote, hold or refuse.

Every gate is asked, and the worst answer stands. Refuse means that the candidate is bad; hold that the logs cannot tell
yet, or that a person has to agree to what it would change.
"""

from fairlead.evaluation.gates.gate import Gate, Ruling
from fairlead.evaluation.gates.rule import latest, render, rule

__all__ = ["Gate", "Ruling", "latest", "render", "rule"]
