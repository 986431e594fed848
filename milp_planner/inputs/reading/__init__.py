"""Strict reading: YAML, places and wording of faults, field types."""
