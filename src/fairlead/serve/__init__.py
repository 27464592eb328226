"""Decisions over HTTP, and what a gateway's workers run beside the router; needs nothing of the pipeline.

`fairlead serve` starts a server, `Client` and `AsyncClient` ask one, `InProcess` is a router behind the same methods.
"""

from fairlead.serve.client import AsyncClient, Client
from fairlead.serve.decider import Decider, InProcess
from fairlead.serve.exchange import Exchange, connect

__all__ = ["AsyncClient", "Client", "Decider", "Exchange", "InProcess", "connect"]
