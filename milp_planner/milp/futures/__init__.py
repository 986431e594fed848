"""One program over several futures: what binds is one column, all else a block a future."""
