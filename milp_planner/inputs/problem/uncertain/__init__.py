"""What a problem says of what is not known yet: futures, risk, and offers to bind oneself."""
