"""Workloads that nothing links need no solver: what they can carry and cost, exactly."""
