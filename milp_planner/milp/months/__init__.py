"""Commitments month by month, under futures that are not known yet: no solver but for a bound."""
