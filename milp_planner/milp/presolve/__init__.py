"""What makes the program small and fast without changing its optimum."""
