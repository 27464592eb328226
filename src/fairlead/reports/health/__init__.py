"""The checks on the data: what each found, its verdict, what that means and what to do."""

from fairlead.reports.health.check import Check
from fairlead.reports.health.examine import Health, examine, health

__all__ = ["Check", "Health", "examine", "health"]
