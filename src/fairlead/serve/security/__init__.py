"""Keys, roles, limits, one-time codes, alerts and the audit log of the scoring API."""

from fairlead.serve.security.folder import Folder
from fairlead.serve.security.guard import Guard
from fairlead.serve.security.headers import HEADERS
from fairlead.serve.security.verdict import Principal, Refusal

__all__ = ["HEADERS", "Folder", "Guard", "Principal", "Refusal"]
