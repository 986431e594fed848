"""Plans as JSON and CSV."""
