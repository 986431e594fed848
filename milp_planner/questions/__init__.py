"""What a user asks: the cheapest plan, a given fleet, a confidence range."""
