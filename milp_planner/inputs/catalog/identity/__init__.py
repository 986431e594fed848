"""What a row is about, whatever its source calls it: the product, its seller and its place."""
