"""A first plan without a solver, in hand for when time ends."""
