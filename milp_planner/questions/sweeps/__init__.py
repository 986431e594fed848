"""One question over many problems: scenarios, grids, budgets."""
