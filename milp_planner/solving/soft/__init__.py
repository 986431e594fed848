"""Plans that may break what is wished for, at a price."""
