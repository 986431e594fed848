"""What rules and cost terms are written in: columns, rows, and what each has to answer for."""
