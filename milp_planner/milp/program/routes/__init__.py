"""Requests routed without columns: what is left of it in a program, and the routes of a fleet."""
