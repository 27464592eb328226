"""Contracts that ship with the package, so that users can hold their own parts to them.

>>> from fairlead.scoring import Weighted
>>> check_policy(Weighted())
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairlead.testing.contract import ContractError
from fairlead.testing.draws import candidates, view
from fairlead.testing.policies import check_policy

__all__ = ["ContractError", "candidates", "check_policy", "check_reader", "view"]


def check_reader(reader: Any, records: Iterable[dict[str, Any] | str]) -> None:
    """Hold a reader of logs to its contract; ContractError names the promise that it breaks. See testing/readers.py."""
    from fairlead.testing import readers  # policies are checked where nothing that reads logs is installed

    readers.check_reader(reader, records)
