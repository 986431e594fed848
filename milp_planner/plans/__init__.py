"""The answer as plain records: no solver, no search, no layout."""
