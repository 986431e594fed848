"""What is put in, as text: problem, traffic, candidates, catalogs."""
