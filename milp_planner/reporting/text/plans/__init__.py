"""A plan as text: its fleet, hours, alternatives and range."""
