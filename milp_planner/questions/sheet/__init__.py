"""Makes the decision sheet: of a plan, of what is solved beside it, and of what it rests on."""
