"""How much the receiver takes and keeps."""

from __future__ import annotations

from fairlead.serve.spool import Sizes

__all__ = ["Limits"]


class Limits(Sizes, frozen=True, kw_only=True):
    """What is kept, and what of one request and of all that are under way is taken."""

    body_bytes: int = 32 << 20  # of one request, unpacked
    waiting_bytes: int = 256 << 20  # of all requests that are being read and written
    body_s: float = 30.0  # until a body has to be there
