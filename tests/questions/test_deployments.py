"""Deployments side by side: APIs priced by hand, and the largest batch that answers in time."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from milp_planner import DeploymentScenario, compare_deployments, estimate
from milp_planner.cli import main
from milp_planner.errors import ArgumentError, InputError
from milp_planner.inputs.catalog.records import Catalog, TokenPrice
from milp_planner.inputs.problem.deployment import DeploymentSettings
from tests.questions.test_estimate import write_folder
from tests.support.serving.toys import SOURCE, catalog, measured
from tests.test_docs import THE_COMMANDS, blocks

TUNED = DeploymentSettings(tuning="tuned")
SIZE = {"input_tokens": 800, "output_tokens": 200}


def token_price(**fields: object) -> TokenPrice:
    given = {
        "provider": "talk",
        "llm": "toy",
        "usd_per_m_input_tokens": 0.5,
        "usd_per_m_output_tokens": 2.0,
        "usd_per_m_cached_tokens": 0.1,
    }
    return TokenPrice(**{**given, **SOURCE, **fields})  # type: ignore[arg-type]


def with_api(*prices: TokenPrice) -> Catalog:
    return catalog(token_prices=prices or [token_price()])


# ---- an API


def test_a_request_at_an_api_costs_its_tokens() -> None:
    # 800 · 0.5 + 200 · 2.0 = 800 millionths; per output token 4e-6, per token 0.8e-6
    found = estimate("toy", provider="talk", catalog=with_api(), **SIZE)
    assert found.usd_per_request == pytest.approx(800e-6)
    assert found.usd_per_million_output_tokens == pytest.approx(4.0)
    assert found.usd_per_million_tokens == pytest.approx(0.8)
    assert (found.verdict, found.gpu, found.tensor_parallel) == ("per token", "", 0)
    assert (found.weights_gib, found.tpot_s, found.requests_per_second) == (None, None, None)


def test_cached_tokens_cost_their_own_price_where_there_is_one() -> None:
    half = DeploymentSettings(prefix_cache_share=0.5)
    # 400 · 0.5 + 400 · 0.1 + 200 · 2.0 = 640 millionths
    found = estimate("toy", provider="talk", deployment=half, catalog=with_api(), **SIZE)
    assert found.usd_per_request == pytest.approx(640e-6)
    plain = with_api(token_price(usd_per_m_cached_tokens=None))
    found = estimate("toy", provider="talk", deployment=half, catalog=plain, **SIZE)
    assert found.usd_per_request == pytest.approx(800e-6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "gpu: required, or a provider whose API serves the LLM"),
        ({"provider": "tolk"}, "provider: no provider 'tolk'; did you mean 'talk'?"),
        ({"provider": "acme"}, "provider: acme has no price per token of toy"),
    ],
)
def test_without_a_gpu_some_api_has_to_serve(fields: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        estimate("toy", catalog=with_api(), **SIZE, **fields)  # type: ignore[arg-type]
    assert str(caught.value) == words


# ---- a limit of the whole request


def test_the_largest_batch_is_found_that_answers_in_time() -> None:
    # alone: step 10.525 ms (weights 10, cache 0.005, kernels 0.5, a sequence 0.02), prefill
    # t_p = 240.7133 ms. With n: tpot = 10.5 ms + n·25 µs + (n − 1)·t_p/200, where memory bounds a
    # step; a request takes t_p + 10.525 ms + 199 · tpot. For n = 8: tpot = 10.7 + 8.425 = 19.125 ms
    # and 4.0571 s; for n = 9: tpot = 10.725 + 9.6285 = 20.3535 ms and 4.3016 s
    found = estimate(
        "toy", "box", latency_limit_s=4.06, deployment=TUNED, catalog=catalog(), **SIZE
    )
    assert found.concurrency == 8
    assert found.latency_s == pytest.approx(4.0571, abs=1e-4)
    wider = estimate(
        "toy", "box", latency_limit_s=4.31, deployment=TUNED, catalog=catalog(), **SIZE
    )
    assert wider.concurrency == 9


def test_the_tighter_of_two_limits_binds() -> None:
    asked = {"deployment": TUNED, "catalog": catalog(), **SIZE}
    both = estimate("toy", "box", latency_limit_s=4.31, tpot_limit_s=0.0192, **asked)
    assert both.concurrency == 8
    both = estimate("toy", "box", latency_limit_s=4.06, tpot_limit_s=0.0205, **asked)
    assert both.concurrency == 8


def test_a_limit_that_one_request_alone_breaks_is_said() -> None:
    # alone 0.2407 + 0.0105 + 199 · 0.010525 = 2.3457 s
    found = estimate("toy", "box", latency_limit_s=2, deployment=TUNED, catalog=catalog(), **SIZE)
    assert found.requests_per_second is None
    assert found.reason == "a request takes 2.35 s with 1 in flight, above the wished 2 s"


def test_a_batch_that_is_asked_for_has_to_keep_the_limits() -> None:
    asked = {"concurrency": 9, "deployment": TUNED, "catalog": catalog(), **SIZE}
    late = estimate("toy", "box", latency_limit_s=4.06, **asked)
    assert late.reason == "a request takes 4.3 s with 9 in flight, above the wished 4.06 s"
    slow = estimate("toy", "box", tpot_limit_s=0.0192, **asked)
    assert slow.reason == "20.4 ms per token with 9 in flight are above the wished 19.2 ms"


def test_rows_tell_the_latency_where_there_are_some() -> None:
    # 2 in flight: 0.5 + 199 · 0.025 = 5.475 s; 4 in flight: 1.0 + 199 · 0.04 = 8.96 s
    rows = [
        measured(79, concurrency=2, tpot_s=0.025, ttft_s=0.5, override=True),
        measured(95, concurrency=4, tpot_s=0.04, ttft_s=1.0, override=True),
    ]
    found = estimate("toy", "box", latency_limit_s=5.476, catalog=catalog(*rows), **SIZE)
    assert (found.concurrency, found.source) == (2, "measured")
    assert found.latency_s == pytest.approx(5.475)


# ---- the table


def scenarios() -> list[DeploymentScenario]:
    asked = {"llm": "toy", **SIZE}
    return [
        DeploymentScenario(name="cloud", gpu="box", concurrency=1, tuning="tuned", **asked),
        DeploymentScenario(name="owned", gpu="box", purchase_usd=26_280, usd_per_kwh=0.2, **asked),
        DeploymentScenario(name="API", provider="talk", prefix_cache_share=0.5, **asked),
    ]


def test_unlike_deployments_stand_side_by_side() -> None:
    table = compare_deployments(scenarios(), catalog=with_api())
    cloud, owned, api = (row.estimate for row in table.rows)
    assert cloud.tpot_s == pytest.approx(10.525e-3)
    assert cloud.price is not None
    assert cloud.price.usd_per_hour == 3.6
    # 26,280 over 3 · 8,760 h, and the 500 W of the box at 0.2
    assert owned.price is not None
    assert owned.price.usd_per_hour == pytest.approx(1.1)
    assert api.usd_per_request == pytest.approx(640e-6)
    assert [row["name"] for row in table.to_dict()["deployments"]] == ["cloud", "owned", "API"]
    frame = table.to_frame()
    assert list(frame["name"]) == ["cloud", "owned", "API"]
    assert list(frame.columns[1:]) == list(api.to_dict())
    assert json.loads(json.dumps(table.to_dict())) == table.to_dict()


def test_every_fault_of_every_scenario_is_said_at_once() -> None:
    asked = {"llm": "toy", **SIZE}
    wrong = [
        DeploymentScenario(name="a", gpu="bix", **asked),
        DeploymentScenario(name="a", gpu="box", watts=100, **asked),
        DeploymentScenario(name="c", gpu="box", precision="int3", **asked),
    ]
    with pytest.raises(InputError) as caught:
        compare_deployments(wrong, catalog=with_api())
    said = str(caught.value).splitlines()
    assert "scenarios[1].name: 'a' is given twice" in said
    assert "scenarios[0].gpu: 'bix' is not in the catalog; did you mean 'box'?" in said
    assert "scenarios[1].usd_per_kwh: required with watts" in said
    assert any(line.startswith("scenarios[2].precision: 'int3' is not one of") for line in said)


def test_a_scenario_says_where_it_runs_and_nothing_that_an_api_does_not_heed() -> None:
    with pytest.raises(InputError, match="gpu: required, or an offering, or a provider"):
        DeploymentScenario(name="a", llm="toy", **SIZE)
    with pytest.raises(InputError, match="says nothing of an API; name a gpu"):
        DeploymentScenario(name="a", llm="toy", provider="talk", concurrency=4, **SIZE)
    with pytest.raises(ArgumentError, match="expected a list of deployments, not one"):
        compare_deployments(scenarios()[0])  # type: ignore[arg-type]


# ---- the command

FILE = """\
schema_version: 1
deployments:
  - {name: cloud, llm: toy, gpu: box, input: 800, output: 200, concurrency: 1, tuning: tuned}
  - {name: quad, llm: toy, offering: bolt/quad/eu-1, billing: spot, tp: 2, input: 800, output: 200,
     latency: 3s}
  - {name: API, llm: toy, provider: talk, input: 800, output: 200}
"""
PRICES = (
    "provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,usd_per_m_cached_tokens,as_of,"
    "source\ntalk,toy,0.5,2.0,0.1,2026-01-01,test\n"
)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_folder(tmp_path / "toys", **{"token_prices.csv": PRICES})
    file = tmp_path / "mine.yaml"
    file.write_text(FILE)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        words = [str(file) if word == "FILE" else word for word in arguments]
        code = main(["estimate", "--catalog", str(folder), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_a_file_of_deployments_makes_a_table(run) -> None:
    code, out, _ = run("--scenarios", "FILE", "-q")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:3] == ["deployment", "LLM", "GPU"]
    assert [line.split()[0] for line in lines[1:4]] == ["cloud", "quad", "API"]
    assert "API of talk" in lines[3]
    assert lines[3].rstrip().endswith("list price")
    rows = json.loads(run("--scenarios", "FILE", "--json")[1])["deployments"]
    assert [row["name"] for row in rows] == ["cloud", "quad", "API"]
    assert rows[1]["usd_per_hour"] == 2.0
    assert rows[1]["latency_s"] <= 3
    table = list(csv.DictReader(io.StringIO(run("--scenarios", "FILE", "--csv")[1])))
    assert [row["name"] for row in table] == ["cloud", "quad", "API"]
    assert float(table[2]["usd_per_request"]) == pytest.approx(800e-6)


def test_a_fault_in_the_file_has_its_line(run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FILE.replace("gpu: box", "gpu: bix").replace("3s", "3"))
    code, out, err = run("--scenarios", "FILE")
    assert (code, out) == (2, "")
    assert "mine.yaml:5:" in err
    assert "a time needs a unit" in err
    (tmp_path / "mine.yaml").write_text(FILE.replace("gpu: box", "gpu: bix"))
    assert "deployments[0].gpu: 'bix' is not in the catalog" in run("--scenarios", "FILE")[2]
    assert "mine.yaml:3:" in run("--scenarios", "FILE")[2]


def test_options_that_the_file_would_not_heed_are_refused(run) -> None:
    code, _, err = run("--scenarios", "FILE", "--gpu", "box")
    assert code == 2
    assert "--scenarios FILE says it all; write --gpu into the file" in err


ONE = ("--llm", "toy", "--input", "800", "--output", "200")


def test_a_provider_prices_a_request_at_its_api_beside_a_gpu(run) -> None:
    code, out, _ = run(*ONE, "--gpu", "box", "--provider", "talk", "--json", "-q")
    gpu, api = json.loads(out)["estimates"]
    assert code == 0
    # talk rents no GPU: the cheapest of anybody prices the box
    assert gpu["price_of"] == "bolt/quad/eu-1 dedicated, 1/4 of a unit of 4 GPUs"
    assert (api["verdict"], api["price_of"]) == ("per token", "talk/toy/global")
    assert api["usd_per_request"] == pytest.approx(800e-6)


def test_an_api_alone_is_a_few_lines(run) -> None:
    code, out, _ = run(*ONE, "--provider", "talk")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "toy at the API of talk, 800/200 tokens; API"
    assert lines[1] == (
        "per token: $0.50 input, $0.10 cached input, $2.00 output, per 1M tokens (talk/toy/global)"
    )
    assert lines[2] == (
        "$4.00 per 1M output tokens, $0.80 per 1M of all tokens, $0.00080 per request "
        "at the API, whatever the load"
    )


def test_the_command_finds_the_largest_batch_in_time(run) -> None:
    asked = ("--gpu", "box", "--tuning", "tuned", "--latency", "4.06s", "--json", "-q")
    _, out, _ = run(*ONE, *asked)
    assert json.loads(out)["estimates"][0]["concurrency"] == 8


def test_the_deployments_in_the_document_can_be_asked_about() -> None:
    (text,) = [block for block in blocks(THE_COMMANDS, "yaml") if "deployments:" in block]
    names = [one["name"] for one in yaml.safe_load(text)["deployments"]]
    table = compare_deployments("shown.yaml", text=text)
    assert [row.name for row in table.rows] == names
    assert [row.estimate.verdict for row in table.rows] == ["fits", "fits", "fits", "per token"]
    assert all(row.estimate.usd_per_request for row in table.rows)
