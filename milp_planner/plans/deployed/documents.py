"""What replicas run, and the block of each hour, in a plan's document: written and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from milp_planner.errors import InputError, input_error
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.reading.validation import validate_python
from milp_planner.plans.deployed.records import DeployedLlm

CLOCKS = 24, 168  # hours of a day, of a week


class WeightsPart(BaseModel):
    """The weights of one LLM."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    hf_id: str
    native_precision: str
    context_tokens: int | None


class DeployedPart(WeightsPart):
    """What the replicas of a workload run."""

    settings: dict[str, Any] | None
    """The keys of a workload's `deployment:`; None where rates are taken at their word."""

    of_each: dict[str, WeightsPart] = {}
    """Where several LLMs serve the workload, each by its name."""


def deployed_dict(deployed: DeployedLlm | None) -> dict[str, Any] | None:
    """The part of the document; None where nothing is known."""
    if deployed is None:
        return None
    settings = deployed.settings
    each = {name: _weights_dict(one) for name, one in deployed.of_each.items()}
    return {
        **_weights_dict(deployed),
        "settings": None if settings is None else settings.model_dump(mode="json"),
        **({"of_each": each} if each else {}),
    }


def _weights_dict(deployed: DeployedLlm) -> dict[str, Any]:
    return {
        "hf_id": deployed.hf_id,
        "native_precision": deployed.native_precision,
        "context_tokens": deployed.context_tokens,
    }


def read_deployed(part: DeployedPart | None, workload: str) -> DeployedLlm | None:
    """What the document tells; raises InputError for settings that no deployment has."""
    if part is None:
        return None
    settings = None
    if part.settings is not None:
        try:
            settings = validate_python(DeploymentSettings, part.settings)
        except InputError as error:
            at = f"workloads.{workload}.deployed.settings"
            raise InputError(
                replace(fault, path=f"{at}.{fault.path}") for fault in error.faults
            ) from None
    each = {name: _read_weights(one, settings) for name, one in part.of_each.items()}
    return replace(_read_weights(part, settings), of_each=each)


def _read_weights(part: WeightsPart, settings: DeploymentSettings | None) -> DeployedLlm:
    return DeployedLlm(part.hf_id, part.native_precision, part.context_tokens, settings)


def read_clock(hours: Sequence[int], blocks: int) -> tuple[int, ...]:
    """The block of each hour of a day or a week; empty where the document tells none.

    Raises InputError for another number of hours, and for a block that is not there.
    """
    if len(hours) not in (0, *CLOCKS) or not all(0 <= t < blocks for t in hours):
        text = f"expected 24 or 168 whole numbers from 0 to {blocks - 1}"
        raise input_error(text, path="block_by_hour")
    return tuple(hours)
