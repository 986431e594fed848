"""`catalog refresh` on the command line, against a server on the loopback."""

from __future__ import annotations

import json

from tests.support.price_server import price_server

pytest_plugins = ["tests.support.toy_cli"]

ENTRY = {"litellm_provider": "deepinfra", "mode": "chat", "input_cost_per_token": 3e-7}
TOKENS = {"deepinfra/llama-3.3-70b": ENTRY | {"output_cost_per_token": 4e-7}}
ASKED = ("catalog", "refresh", "--source", "litellm", "--as-of", "2026-11-29", "--out", "new")


def test_an_address_is_an_option_or_in_the_environment(run, folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with price_server() as server:
        server.answers["/p.json"] = json.dumps(TOKENS).encode()
        monkeypatch.setenv("MILP_PLANNER_LITELLM_URL", f"{server.url}/p.json")
        code, out, _ = run(*ASKED)
        assert code == 0
        assert out.splitlines()[:2] == [
            "new: 0 offerings and 1 token price",
            "  LiteLLM: 1 row of 2026-11-29, 0 left out",
        ]
        assert run("catalog", "check", "new", "--as-of", "2026-11-29")[0] == 0
        monkeypatch.setenv("MILP_PLANNER_LITELLM_URL", "http://127.0.0.1:9/none")
        code, out, _ = run(*ASKED, "--litellm-url", f"{server.url}/p.json", "--json")
        assert code == 0
        assert json.loads(out)["lists"][0]["url"] == f"{server.url}/p.json"


def test_a_list_that_is_not_there_is_an_input_error(run, folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with price_server() as server:
        code, out, err = run(*ASKED, "--litellm-url", f"{server.url}/p.json")
        assert (code, out) == (2, "")
        missing = f"{server.url}/p.json: there is no file: HTTP 404 Not Found\n"
        assert err == f"{missing}  hint: new was not made\n"
    assert not (folder / "new").exists()
