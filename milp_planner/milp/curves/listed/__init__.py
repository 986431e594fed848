"""The cheapest fleet of a workload that several rows of each block ask for, found by lists."""
