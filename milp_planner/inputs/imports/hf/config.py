"""A published `config.json`, read by name; publishers have several names for one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from milp_planner.errors import input_error
from milp_planner.inputs.imports.hf.config_kinds import is_count
from milp_planner.lazily import dataclass
from milp_planner.units import shown

TEXT_PARTS = ("text_config", "llm_config", "language_config")
TOWER_PARTS = ("vision_config", "audio_config", "vision_tower_config")


@dataclass(frozen=True)
class Config:
    """One object of a config, and where it was read."""

    values: Mapping[str, Any]
    file: str
    whole: Mapping[str, Any]
    """The whole document, of which `values` may be the part about text."""

    @staticmethod
    def of(document: Mapping[str, Any], file: str) -> Config:
        """The part that describes the language model, in a multi-modal one under its own key."""
        for part in TEXT_PARTS:
            if isinstance(document.get(part), dict):
                return Config(document[part], file, document)
        return Config(document, file, document)

    @property
    def model_type(self) -> str:
        """The architecture's name as the library has it: that of the whole document."""
        return str(self.whole.get("model_type") or self.values.get("model_type") or "")

    @property
    def towers(self) -> Sequence[Config]:
        """The parts about other modalities."""
        parts = ((part, self.whole.get(part)) for part in TOWER_PARTS)
        return [Config(found, self.file, self.whole) for _, found in parts if found]

    def get(self, *names: str, default: Any = None) -> Any:
        """The first of these that is stated, in the text part or the whole document."""
        for source in (self.values, self.whole):
            for name in names:
                if source.get(name) is not None:
                    return source[name]
        return default

    def count(self, *names: str, default: int | None = None) -> int:
        """A whole number; raises InputError where it is wanting or is none."""
        found = self.get(*names, default=default)
        if not is_count(found):
            what = "is missing" if found is None else f"is {shown(found)}, not a whole number"
            raise input_error(what, file=self.file, path=names[0])
        return int(found)

    def listed(self, *names: str) -> list[Any]:
        """A list; empty where none is stated."""
        found = self.get(*names, default=[])
        if not isinstance(found, list):
            raise input_error(f"is {shown(found)}, not a list", file=self.file, path=names[0])
        return found

    def flag(self, *names: str, default: bool = False) -> bool:
        """Whether it is stated and true."""
        return bool(self.get(*names, default=default))
