"""Where what can be solved side by side is solved: processes of this machine, Dask, Ray."""
