"""The mixed-integer program: columns, rows, objective, exclusions."""
