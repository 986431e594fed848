"""Files for the small records of `sample_records`: a test says only the lines it is about.

These start at line 5.
"""

from __future__ import annotations

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.inputs.reading.validation import validate
from tests.support.sample_records import Problem

HEAD = "schema_version: 1\nworkloads:\n  - name: chat\n    llm: llama\n"
TRAFFIC = "    traffic: {kind: requests_per_second, requests_per_second: 3}\n"


def problem(text: str) -> Problem:
    return validate(Problem, read_yaml("x.yaml", text=text))


def faults(text: str) -> list[str]:
    """What is printed for a file, a fault each."""
    with pytest.raises(InputError) as caught:
        problem(text)
    return [str(fault) for fault in caught.value.faults]


def workload_faults(lines: str) -> list[str]:
    return faults(f"{HEAD}{TRAFFIC}    {lines}\n")


def limit_faults(lines: str) -> list[str]:
    """The faults of a limit, which stands on line 6, from column 10."""
    return faults(f"{HEAD}{TRAFFIC}limits: {{{lines}}}\n")
