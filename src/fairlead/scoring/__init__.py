"""What a gateway imports: numpy and the snapshot container, nothing else."""

from fairlead.scoring.decision import Decision, Detail, Ranked
from fairlead.scoring.outcome import Outcome, Reward
from fairlead.scoring.policies import POLICIES, Intelligent, Policy, Weighted
from fairlead.scoring.predict import Batch, Candidates, Predictor
from fairlead.scoring.request import Request
from fairlead.scoring.router import Router, Status
from fairlead.scoring.snapshot import Snapshot, open_published
from fairlead.scoring.view import View

__all__ = [
    "POLICIES",
    "Batch",
    "Candidates",
    "Decision",
    "Detail",
    "Intelligent",
    "Outcome",
    "Policy",
    "Predictor",
    "Ranked",
    "Request",
    "Reward",
    "Router",
    "Snapshot",
    "Status",
    "View",
    "Weighted",
    "open_published",
]
