"""Commands about what can be rented and what was measured, rather than about a plan."""
