"""Workloads that may share units: first each on its own, then together."""
