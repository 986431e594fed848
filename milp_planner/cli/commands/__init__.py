"""The commands, by what is asked."""
