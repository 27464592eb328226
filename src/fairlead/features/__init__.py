"""What is known before a call: order, build, check, join as of."""

from fairlead.features.build import build
from fairlead.features.join import Joined, join
from fairlead.features.labels import Rules, make_views, rules_of
from fairlead.features.noise import Noise, told

__all__ = ["Joined", "Noise", "Rules", "build", "join", "make_views", "rules_of", "told"]
