"""From a problem to a plan that is verified."""
