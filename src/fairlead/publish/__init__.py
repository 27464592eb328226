"""From the registry's champions to the one file that gateways read: audit first, then swap."""

from fairlead.publish.endpoints import EndpointSettings, endpoints_in, endpoints_of, regions_of, settings_of
from fairlead.publish.publish import Published, assemble, publish
from fairlead.publish.replay import audit, audit_rows

__all__ = [
    "EndpointSettings",
    "Published",
    "assemble",
    "audit",
    "audit_rows",
    "endpoints_in",
    "endpoints_of",
    "publish",
    "regions_of",
    "settings_of",
]
