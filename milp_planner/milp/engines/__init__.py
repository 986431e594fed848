"""CBC and HiGHS, each by itself and one against the other."""
