"""How good the serving model is, held against measurements."""
