"""Plans over several futures: what to bind oneself to before it is known which one comes."""
