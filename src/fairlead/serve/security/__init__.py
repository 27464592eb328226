"""Keys, roles, limits, one-time codes, alerts and the audit log of the scoring API."""

from fairlead.serve.security.folder import Folder
from fairlead.serve.security.guard import KeyGuard

__all__ = ["Folder", "KeyGuard"]
