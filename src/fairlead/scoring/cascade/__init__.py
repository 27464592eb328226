"""Ask a cheap endpoint, look at its answer, and ask a better one only where that pays."""

from fairlead.scoring.cascade.answer import Answer, digest
from fairlead.scoring.cascade.cascade import Accept, Ask, Cascade
from fairlead.scoring.cascade.rule import Seen, Stage, StoppingRule

__all__ = ["Accept", "Answer", "Ask", "Cascade", "Seen", "Stage", "StoppingRule", "digest"]
