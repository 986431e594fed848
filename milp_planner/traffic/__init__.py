"""What arrives over a month: traces, curves and blocks of hours."""
