"""Reads what other planners and price catalogs publish, and writes it as our own files, offline."""
