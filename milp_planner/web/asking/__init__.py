"""What may be asked of which catalogs and files, and the documents that answer it."""
