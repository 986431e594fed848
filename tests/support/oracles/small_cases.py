"""Random cases of one block for brute force: several loads, classes and limits."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.oracles.cases import Case, Load, Offer, Terms

PRICES = st.sampled_from([1.0, 1.7, 2.3, 3.1, 4.9])
RATES = st.sampled_from([2.0, 3.0, 5.5, 7.0, 11.0])


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """One or two loads of one or two classes, two or three offers, limits loose or tight."""
    classes = draw(st.integers(1, 2))
    offers = []
    for i in range(draw(st.integers(2, 3))):
        gpus = draw(st.sampled_from([1, 2]))
        rates = tuple(draw(RATES) * gpus for _ in range(classes))
        provider = draw(st.sampled_from(["acme", "bolt"]))
        gpu = f"gpu{i}"
        offers.append(Offer(provider, gpu, draw(PRICES) * gpus, rates, gpus))
    loads = []
    for name in ["chat", "code"][: draw(st.integers(1, 2))]:
        rates = tuple(draw(st.sampled_from([1.0, 4.0, 6.5, 9.0])) for _ in range(classes))
        band = draw(st.sampled_from([1.0, 0.75, 0.5]))
        replicas = draw(st.sampled_from([1, 1, 1, 2]))
        loads.append(Load((rates,), name, max_utilization=band, min_replicas=replicas))
    terms = Terms(
        budget=draw(st.sampled_from([None, None, 3000.0, 6000.0, 9000.0])),
        max_gpus=draw(st.sampled_from([None, None, 3, 6])),
        max_units=draw(st.sampled_from([(), ((offers[0].id, 1),)])),
        per_provider=draw(st.sampled_from([(), (("acme", 2),)])),
        per_gpu=draw(st.sampled_from([(), (("gpu0", 2),)])),
        most_providers=draw(st.sampled_from([None, None, 1])),
    )
    return Case(tuple(offers), tuple(loads), terms)
