"""Requests sent through a fleet, hour by hour."""
