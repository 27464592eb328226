"""What fairlead raises.

FairleadError                 catch this to catch all
├── UsageError                the caller asked for something that cannot be (exit 2)
├── ProjectError              no project here, or its settings are off
├── ReadError                 an input file cannot be read at all (a bad *line* is quarantined, not raised)
├── StoreError                the lake or its manifest is not as it should be
├── FeatureError              a file in features/ is off
├── ModelError                a file in models/ is off, or a predictor cannot be fitted
├── GateError                 a candidate did not earn promotion
├── SecurityError             keys, secrets or the audit log are not as they should be
├── SnapshotRefusedError      the published file fails a check; the last good one stays
├── EvidenceError             the logs cannot answer the question
├── UnavailableError          a scoring server cannot be asked just now
└── AlarmError                something that is watched needs somebody to look at it

Every message names the file, the fault and the way out.
"""

__all__ = [
    "AlarmError",
    "EvidenceError",
    "FairleadError",
    "FeatureError",
    "GateError",
    "ModelError",
    "ProjectError",
    "ReadError",
    "SecurityError",
    "SnapshotRefusedError",
    "StoreError",
    "UnavailableError",
    "UsageError",
]


class FairleadError(Exception):
    """Anything fairlead refuses to do."""


class UsageError(FairleadError):
    """The caller asked for something that cannot be; the command line exits with 2."""


class ProjectError(FairleadError):
    """No project was found, or its settings cannot be read."""


class ReadError(FairleadError):
    """An input file cannot be read at all."""


class StoreError(FairleadError):
    """The lake or its manifest is not as it should be."""


class FeatureError(FairleadError):
    """A file in features/ cannot be built, or breaks its own grain."""


class ModelError(FairleadError):
    """A file in models/ cannot be read, or its predictor cannot be fitted."""


class GateError(FairleadError):
    """A candidate predictor or snapshot did not earn promotion."""


class SecurityError(FairleadError):
    """Keys, secrets or the audit log are not as they should be: nothing is let in on their word."""


class SnapshotRefusedError(FairleadError):
    """The published file fails a check; whoever reads it keeps the last good one."""


class EvidenceError(FairleadError):
    """The logs cannot answer the question that was asked."""


class UnavailableError(FairleadError):
    """A scoring server did not answer in time, or not with a decision; a client's `default` takes its place."""


class AlarmError(FairleadError):
    """Something that is watched needs somebody to look at it; a scheduled run ends as failed, so that it is seen."""
