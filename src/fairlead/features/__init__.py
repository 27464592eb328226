"""What is known before a call: order, build, check, join as of."""

from fairlead.features.build import build
from fairlead.features.join import Joined, join
from fairlead.features.labels import Rules, make_views, rules_of
from fairlead.features.noise import Noise, told
from fairlead.features.preferences import Ability, abilities

__all__ = ["Ability", "Joined", "Noise", "Rules", "abilities", "build", "join", "make_views", "rules_of", "told"]
