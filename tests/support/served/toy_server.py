"""Fixtures: the toy catalog behind an API, asked without a network.

A plugin, named in `pytest_plugins` by the tests that want it, beside `toy_cli`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from milp_planner import load_catalog
from tests.support.served.client import Client
from tests.support.shown.extras import needed


@pytest.fixture
def served(folder: Path) -> Iterator[Any]:
    """What is served: the catalog `toy`, and those that are shipped; two solves at once."""
    needed("starlette", "web")
    from milp_planner.web.app import Served
    from milp_planner.web.asking.answers import Answers
    from milp_planner.web.asking.sources import Sources
    from milp_planner.web.server.solves import Solves

    with Sources(own={"toy": load_catalog(folder / "toy")}) as sources:
        found = Served(Answers(sources), Solves(2, most_waiting=1))
        yield found
        found.solves.close()
        found.solves.join()


@pytest.fixture
def client(served: Any) -> Iterator[Client]:
    """Asks what is served."""
    from milp_planner.web.app import application

    made = Client(application(served))
    yield made
    made.close()
