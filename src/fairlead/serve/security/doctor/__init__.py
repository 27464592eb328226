"""Looks for what is set up unsafely, and says the way out of each."""

from fairlead.serve.security.doctor.finding import Finding

__all__ = ["Finding"]
