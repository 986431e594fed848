"""What can be rented for a workload: offerings with their rates and prices."""
