"""The decision sheet as plain data: what reports lay out, and what a document holds."""
