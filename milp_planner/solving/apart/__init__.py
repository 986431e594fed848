"""Next-best plans put together of lists, one for each part that nothing links to the others."""
