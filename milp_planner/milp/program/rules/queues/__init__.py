"""Replicas whose requests queue before each offering by itself."""
