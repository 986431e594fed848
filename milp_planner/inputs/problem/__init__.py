"""The problem file: its records, its traffic, and patches to it."""
