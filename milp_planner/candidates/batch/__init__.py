"""Batch work: what other workloads' units can do of it, and when and where it is done."""
