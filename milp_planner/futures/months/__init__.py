"""Commitments over a horizon of months: from a problem to a calendar."""
