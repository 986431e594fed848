"""More names of GPUs and LLMs, as the rows of `gpu_aliases.csv` and `llm_aliases.csv`."""

from __future__ import annotations

from milp_planner.inputs.catalog.identity.names import gpu_spelling
from milp_planner.inputs.reading.field_types import Id
from milp_planner.inputs.reading.records import Frozen


class GpuAlias(Frozen):
    """One spelling of a GPU's name; one that several rows give is ambiguous."""

    alias: str
    gpu: Id

    @property
    def id(self) -> str:
        """What makes the row one of its own."""
        return f"{gpu_spelling(self.alias)} -> {self.gpu}"


class LlmAlias(Frozen):
    """One more name of an LLM."""

    alias: str
    llm: Id

    @property
    def id(self) -> str:
        """What makes the row one of its own."""
        return self.alias
