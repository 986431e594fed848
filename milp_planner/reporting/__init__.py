"""Plans as text, JSON and CSV."""
