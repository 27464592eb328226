"""From the registry's champions to the one file that gateways read: audit first, then swap."""

from fairlead.publish.publish import Published, assemble, endpoints_of, publish
from fairlead.publish.replay import audit, audit_rows

__all__ = ["Published", "assemble", "audit", "audit_rows", "endpoints_of", "publish"]
