"""What is asked of arguments, names and numbers before anything is computed."""
