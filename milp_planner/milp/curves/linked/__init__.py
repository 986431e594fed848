"""Workloads that only quotas link: a price on each quota, and every workload by itself."""
