"""What is known before a call: order, build, check, join as of."""

from fairlead.features.build import build
from fairlead.features.join import Joined, join

__all__ = ["Joined", "build", "join"]
