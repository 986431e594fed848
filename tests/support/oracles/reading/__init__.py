"""Readers that hold a routed plan against the sentences of the documents, sharing no rule with the planner."""
