"""Plans and answers as text."""
