"""What is known of the host of a unit, and whether it is less than a problem asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.records import Limits

SLACK = 1 - 1e-9
"""A wish equal to what there is lets it through, also where GPUs have shared it out."""


class HostFact(NamedTuple):
    """One thing that a host has."""

    of_unit: Callable[[Offering], float | None]
    """For all GPUs of a unit; None where the source does not say."""

    words: str

    def per_gpu(self, row: Offering) -> float | None:
        """What there is for each GPU; None where it is not known."""
        all_of_it = self.of_unit(row)
        return None if all_of_it is None else all_of_it / row.gpus_per_unit


HOST_FACTS: Mapping[str, HostFact] = {
    "min_vcpus_per_gpu": HostFact(lambda row: row.vcpus, "vCPUs"),
    "min_memory_gib_per_gpu": HostFact(lambda row: row.host_memory_gib, "GiB of host memory"),
}
"""By the key of `limits.host` that asks for it."""


def kilowatts(k: Candidate) -> float:
    """What a unit draws of one's own power at full load, in kW; 0 for what is rented."""
    if not isinstance(k.offering, Offering):
        return 0.0
    return (k.offering.kilowatts or 0.0) * k.units_joined


def why_no_power(limits: Limits, row: Offering | TokenPrice) -> str:
    """Why a power cap leaves the row out: nobody states what it draws."""
    if limits.max_power_kw is None or row.billing != "owned":
        return ""
    if getattr(row, "kilowatts", None) is not None:
        return ""
    return "limits.max_power_kw: what it draws is not stated (full_watts of owned.csv)"


def why_poor_host(limits: Limits, row: Offering | TokenPrice) -> str:
    """Why the host of the row is too small, or not known well enough, or nothing."""
    if not isinstance(row, Offering):
        return ""
    for key, fact in HOST_FACTS.items():
        least, has = getattr(limits.host, key), fact.per_gpu(row)
        if least is None or (has is not None and has >= least * SLACK):
            continue
        if has is None:
            return f"{fact.words} per GPU are not known, and limits.host.{key} asks for {least:g}"
        return f"{has:.4g} {fact.words} per GPU are below limits.host.{key} ({least:g})"
    return ""
