"""Between the network and the planner: who may ask, how much, and how many at once."""
