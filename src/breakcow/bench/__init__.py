"""Benchmarks: how long a real kernel takes to share, unshare, protect and tell. Figures with their spread, and never a verdict."""
