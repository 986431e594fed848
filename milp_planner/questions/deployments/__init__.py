"""One deployment without a plan: its rates, and how to calibrate them."""
