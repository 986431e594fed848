"""A plan over several futures as plain records, and its part of the document."""
