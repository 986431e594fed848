"""Whose price list a file is: by the user's word, its folder (`aws/vms.csv`) or its own name."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from milp_planner.inputs.catalog.identity.sellers import Sellers
from milp_planner.inputs.imports.overlay import provider_id

FILE_OF_A_CLOUD = "vms"
"""SkyPilot keeps the list of each cloud in a folder of the cloud's name."""


def provider_of(file: Path, given: str | None, known: Collection[str], sellers: Sellers) -> str:
    """The provider's id as the catalog has it.

    A name that is no provider's, such as `lambda-list` or `gcp_vms_few`, stands for the one
    provider that is a word of it; where none is, or several, it is taken as it stands.
    """
    if given:
        return provider_id(given, sellers)
    name = file.absolute().parent.name if file.stem == FILE_OF_A_CLOUD else file.stem
    whole = provider_id(name, sellers)
    if whole in known:
        return whole
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    runs = {"-".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    ids = {run: provider_id(run, sellers) for run in runs}
    meant = {id_ for run, id_ in ids.items() if id_ in known or run in sellers.spellings}
    return meant.pop() if len(meant) == 1 else whole
