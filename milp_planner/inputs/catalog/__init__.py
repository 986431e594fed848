"""Catalogs: their records, files, folders and checks."""
