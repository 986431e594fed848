"""Other ways to serve the same traffic, each solved and proven: fewer providers, spot, an API."""
