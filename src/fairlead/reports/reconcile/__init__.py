"""Three figures of what was spent: recomputed from tokens, reported by the gateway, billed by the provider.

Their gaps are taken apart into sums that hold exactly, and named where the data prove the name.
"""

from fairlead.reports.reconcile.result import Billed, Gap, Reconciliation, Row
from fairlead.reports.reconcile.run import BY, compare, reconcile
from fairlead.reports.reconcile.words import render

__all__ = ["BY", "Billed", "Gap", "Reconciliation", "Row", "compare", "reconcile", "render"]
