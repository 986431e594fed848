"""What charts share, however they are drawn."""
