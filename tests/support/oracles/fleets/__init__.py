"""Small fleets with every term and limit at once, and the least that they cost."""
