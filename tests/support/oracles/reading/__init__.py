"""Readers of routed plans: what the documents say, sharing no rule with the planner."""
