"""Batch work in the program: how much of it is done when, and by whose units."""
