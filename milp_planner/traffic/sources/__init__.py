"""Formats of recorded traffic besides CSV of requests: JSON lines, buckets, workload files."""
