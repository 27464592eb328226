"""What is raised when a part does not keep its contract."""

from __future__ import annotations

from fairlead.errors import FairleadError

__all__ = ["ContractError"]


class ContractError(FairleadError):
    """A part does not keep its contract; the message says which promise."""
