"""The decision sheet laid out: words that all layouts share, text for a terminal."""
