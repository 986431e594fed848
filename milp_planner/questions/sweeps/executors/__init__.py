"""Where scenarios are solved: here, in processes of this machine, on Dask or on Ray."""
