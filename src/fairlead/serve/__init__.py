"""What a gateway's workers run beside the router."""

from fairlead.serve.exchange import Exchange, connect

__all__ = ["Exchange", "connect"]
