"""fairlead: the routing brain you train on your own LLM gateway's logs.

>>> import fairlead
>>> fairlead.Request(text="What is 2 + 2?", route="maths").route
'maths'
"""

from fairlead.errors import FairleadError
from fairlead.scoring import Decision, Intelligent, Request, Router, Snapshot, Weighted

__all__ = ["Decision", "FairleadError", "Intelligent", "Request", "Router", "Snapshot", "Weighted", "__version__"]
__version__ = "0.1.0"
