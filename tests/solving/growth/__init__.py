"""How the work of planning grows with the size of a problem."""
