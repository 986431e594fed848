"""Answers as text, one file a question."""
