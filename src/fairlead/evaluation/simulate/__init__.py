"""A gateway log whose truth is known: a replayed routing matrix, or a made-up world, behind a randomised router.

What `fairlead simulate` runs. The log looks as LiteLLM writes it, with the router's exact propensities echoed in its
metadata; beside it lies what every endpoint would have answered to every request, so that any policy's true value can
be computed and a judgement from the log alone be held against it.
"""

from fairlead.evaluation.simulate.events import Event, parse
from fairlead.evaluation.simulate.load import Load
from fairlead.evaluation.simulate.opinions import Opinions
from fairlead.evaluation.simulate.result import Simulation
from fairlead.evaluation.simulate.simulation import run
from fairlead.evaluation.simulate.truth import Truth, Value, true_value, truth_arrays

__all__ = [
    "Event",
    "Load",
    "Opinions",
    "Simulation",
    "Truth",
    "Value",
    "parse",
    "run",
    "true_value",
    "truth_arrays",
]
