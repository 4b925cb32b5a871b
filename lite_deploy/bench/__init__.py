"""Latency on devices: measured so that it can be trusted, and reported."""
