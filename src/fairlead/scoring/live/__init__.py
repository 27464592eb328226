"""Live state: what is in flight, how slow, how faulty and how full each endpoint is at the moment of a decision."""

from fairlead.scoring.live.available import available
from fairlead.scoring.live.live import Live
from fairlead.scoring.live.settings import Limit, Settings
from fairlead.scoring.live.shared import Shared
from fairlead.scoring.live.warmth import Warmth

__all__ = ["Limit", "Live", "Settings", "Shared", "Warmth", "available"]
