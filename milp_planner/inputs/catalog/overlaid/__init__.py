"""What overlays do to the catalog below them, beyond adding rows."""
