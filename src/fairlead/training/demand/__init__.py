"""How much is coming: requests, tokens and dollars ahead, with intervals that hold while the traffic changes."""
