"""How the work of a question grows with its size, counted and not timed."""
