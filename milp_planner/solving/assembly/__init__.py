"""A solution of the program, put together as a plan with its costs and notes."""
