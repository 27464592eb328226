"""What a gateway imports: numpy and the snapshot container, nothing else."""

from fairlead.scoring.policies import POLICIES, Intelligent, Policy, Weighted
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.router import Decision, Ranked, Router
from fairlead.scoring.snapshot import Snapshot, open_published

__all__ = [
    "POLICIES",
    "Batch",
    "Candidates",
    "Decision",
    "Intelligent",
    "Policy",
    "Predictor",
    "Ranked",
    "Request",
    "Router",
    "Snapshot",
    "Weighted",
    "open_published",
]
