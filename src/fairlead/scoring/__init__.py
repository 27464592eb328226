"""What a gateway imports: numpy and the snapshot container, nothing else."""

from fairlead.scoring.outcome import Outcome, Reward
from fairlead.scoring.policies import POLICIES, Intelligent, Policy, Weighted
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.router import Decision, Ranked, Router
from fairlead.scoring.snapshot import Snapshot, open_published
from fairlead.scoring.view import View

__all__ = [
    "POLICIES",
    "Batch",
    "Candidates",
    "Decision",
    "Intelligent",
    "Outcome",
    "Policy",
    "Predictor",
    "Ranked",
    "Request",
    "Reward",
    "Router",
    "Snapshot",
    "View",
    "Weighted",
    "open_published",
]
