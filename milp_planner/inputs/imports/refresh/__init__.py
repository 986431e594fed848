"""Fetches the price lists that others publish; the only part of the planner that uses a network."""
