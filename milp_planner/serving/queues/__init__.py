"""Queues before replicas: how long a request waits, and which load a pool may carry.

Symbols, in SI units. A pool has K places, each taken by one request in flight; with b of them taken
it completes d(b) requests/s (`pool_rates`), and μ = d(K) when all are. Arrivals come at λ with gaps
of squared coefficient of variation c²; w is a wait that is wished for, p the share of requests that
must keep it.

    sizes.py    how the work of requests spreads, and what that does to departures
    gaps.py     how arrivals bunch
    chain.py    how likely an arrival is to wait
    wait.py     how long it waits, and the load that a pool may carry
    places.py   places of a replica whose KV cache binds before its slots
"""
