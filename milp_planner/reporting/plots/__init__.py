"""Plans, what-if rows and frontiers as plots, by matplotlib, which is an extra."""
