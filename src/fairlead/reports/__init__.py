"""The report that people forward: where the money went, what another policy would have cost, and whether it holds."""

from fairlead.reports.health import Health, health
from fairlead.reports.render import render

__all__ = ["Health", "health", "render"]
