"""What is out of the ordinary: spend, latency, errors, quality, shares, and the slice that explains it."""
