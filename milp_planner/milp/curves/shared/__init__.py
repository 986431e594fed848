"""Workloads that may share units, by what each may choose within an amount."""
