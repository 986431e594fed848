"""The page as a person uses it, in Debian's Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from milp_planner import load_catalog, load_problem, solve
from tests.support.shown.extras import needed

pytest_plugins = [
    "tests.support.shown.browser",
    "tests.support.served.process",
    "tests.support.toy_cli",
]

PHONE, TABLET, DESK = 390, 800, 1280
PATIENCE_MS = 120_000

# The problem served: 13 requests/s at 100 % take one big and one small, $3,960 a month.


@dataclass(frozen=True)
class Opened:
    """The page in the browser, and what came of it."""

    page: Any
    said: list[str]
    asked: list[str]

    def answered(self) -> str:
        """What the answer costs, once it is whole."""
        done = self.page.locator(".status:not(.is-busy) .said").filter(has_text="Answered in")
        done.wait_for(timeout=PATIENCE_MS)
        return str(self.page.inner_text(".sheet h1"))

    def shows(self, selector: str, words: str) -> None:
        """Wait for words in a part of the page."""
        part = self.page.locator(selector).filter(has_text=words).first
        part.wait_for(timeout=PATIENCE_MS)

    def costs(self, usd: str) -> None:
        """Wait for a whole answer of so much a month."""
        self.shows(".sheet h1", usd)
        assert self.answered().startswith(usd)

    def holds(self, field: str, value: str) -> None:
        """Wait for a value in a field of the form."""
        self.expected(field).to_have_value(value)

    def reads(self, selector: str, words: str) -> None:
        """Wait for a part of the page that says just these words."""
        self.expected(selector).to_have_text(words)

    def expected(self, selector: str) -> Any:
        """What is awaited of the first such part."""
        expect = needed("playwright.sync_api", "browser").expect
        expect.set_options(timeout=PATIENCE_MS)
        return expect(self.page.locator(selector).first)

    def becomes(self, wanted: str) -> None:
        """Wait until an expression of the page is true."""
        self.page.wait_for_function(wanted, timeout=PATIENCE_MS)

    def heard(self, words: str) -> None:
        """Wait for words that a screen reader is told."""
        told = self.page.locator(".told[role=status]").filter(has_text=words)
        told.wait_for(state="attached", timeout=PATIENCE_MS)

    @property
    def question(self) -> str:
        """What the address says of the question."""
        return str(self.page.url).partition("#")[2].partition("&yaml")[0]


@pytest.fixture
def visit(chromium: Any, toy_server: Any) -> Iterator[Callable[..., Opened]]:
    """Opens the page, in a window of its own."""
    contexts = []

    def opened(address: str = "") -> Opened:
        context = chromium.new_context(viewport={"width": DESK, "height": 860})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        found = Opened(page, [], [])
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(address or toy_server.address)
        page.locator(".question:not([inert])").wait_for(timeout=PATIENCE_MS)
        return found

    yield opened
    for context in contexts:
        context.close()


def test_a_question_is_filled_in_answered_mended_and_taken_back(visit, toy_server):
    shown = visit()
    page = shown.page
    shown.costs("$3,960")
    shown.holds("#f-llm", "tiny")
    shown.holds("#f-volume", "13")

    page.fill("#f-volume", "3")
    shown.costs("$1,080")

    # What is wrong stands beside its field; the last answer stays, faded.
    page.fill("#f-tpot", "50")
    shown.shows('[data-fault="tpot"]', "a time needs a unit: write '800ms' or '2s'")
    assert page.get_attribute("#f-tpot", "aria-invalid") == "true"
    shown.reads(".status .said", "One thing is to be mended")
    assert "is-old" in page.get_attribute(".reply", "class")
    assert page.inner_text(".sheet h1").startswith("$1,080")
    page.fill("#f-tpot", "")
    shown.costs("$1,080")
    shown.reads('[data-fault="tpot"]', "")
    assert page.get_attribute("#f-tpot", "aria-invalid") is None

    page.go_back()  # to the fault
    shown.shows('[data-fault="tpot"]', "a time needs a unit")
    page.go_back()
    page.go_back()
    shown.costs("$3,960")
    shown.holds("#f-volume", "13")
    assert shown.said == []
    assert all(address.startswith(toy_server.address) for address in shown.asked)


def test_nothing_is_typed_before_the_first_question_is_there(chromium, toy_server):
    page = chromium.new_page()
    held = []
    page.route("**/page/fields", lambda route: held.append(route))
    with page.expect_request("**/page/fields"):
        page.goto(toy_server.address)
    page.evaluate("document.getElementById('f-volume').focus()")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    held[0].continue_()
    shown = Opened(page, [], [])
    shown.costs("$3,960")
    shown.holds("#f-volume", "13")
    page.focus("#f-volume")
    assert page.evaluate("document.activeElement.id") == "f-volume"
    page.close()


def test_going_back_twice_at_once_ends_at_the_older_question(visit):
    shown = visit()
    page = shown.page
    shown.costs("$3,960")
    page.fill("#f-volume", "3")
    shown.costs("$1,080")
    page.fill("#f-volume", "4")
    shown.costs("$2,160")
    held = []
    page.route(
        "**/page/fields", lambda route: held.append(route) if not held else route.continue_()
    )
    page.go_back()  # what its address says is read late, after that of the one before
    page.go_back()
    shown.costs("$3,960")
    with page.expect_response("**/page/fields"):
        held[0].continue_()
    page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    shown.holds("#f-volume", "13")
    assert shown.answered().startswith("$3,960")
    assert shown.said == []


def test_a_choice_is_taken_and_two_questions_stand_side_by_side(visit):
    shown = visit()
    page = shown.page
    shown.costs("$3,960")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Take as the question: one provider").click()
    shown.costs("$5,400")  # five small ones
    shown.shows(".compared .delta", "Monthly cost will increase by $1,440 (+36 %)")
    shown.reads(".compared .amount >> nth=0", "$3,960 per month")
    shown.reads(".compared .amount >> nth=1", "$5,400 per month")
    shared = visit(page.url)
    shared.costs("$5,400")
    shared.shows(".compared .delta", "Monthly cost will increase by $1,440 (+36 %)")
    page.get_by_role("button", name="Change places").click()
    shown.costs("$3,960")
    page.get_by_role("button", name="End").click()
    page.locator(".compared").wait_for(state="hidden", timeout=PATIENCE_MS)
    assert shown.said == shared.said == []


def test_sliders_move_traffic_and_budget_with_the_keyboard(visit):
    shown = visit()
    page = shown.page
    shown.costs("$3,960")
    traffic = page.get_by_role("slider", name="Traffic, from a tenth to ten times")
    traffic.focus()
    page.keyboard.press("Home")
    shown.holds("#f-volume", "1.3")
    assert traffic.get_attribute("aria-valuetext") == "1.3 requests/s, peak"
    shown.reads(".inwords", "no budget")
    shown.costs("$1,080")
    page.keyboard.press("End")
    shown.holds("#f-volume", "130")
    shown.costs("$37,440")  # thirteen big ones
    budget = page.get_by_role("slider", name=re.compile("^Budget"))
    budget.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    assert float(page.input_value("#f-budget")) > 0
    said, told = page.evaluate(
        "[document.querySelector('.inwords').textContent,"
        " document.querySelector('[data-slider=budget]').getAttribute('aria-valuetext')]"
    )  # at one moment
    assert re.fullmatch(r"\$[\d,]+ a month, \d+ % of the plan", said)
    assert told == said
    shown.shows(".sheet h1", "No plan")
    shown.answered()
    page.get_by_role("button", name=re.compile("^Take as the question: Raise the budget")).click()
    shown.costs("$37,440")
    assert float(page.input_value("#f-budget")) == pytest.approx(37_440)
    assert shown.said == []


def test_the_yaml_that_is_copied_costs_the_same_to_the_cent(visit, toy_server, run):
    shown = visit()
    page = shown.page
    page.fill("#f-volume", "23")
    page.locator("summary", has_text="Providers").click()
    page.get_by_label("acme", exact=True).check()
    shown.costs("$8,640")  # three big ones
    page.get_by_role("button", name="Copy YAML").first.click()
    shown.shows(".toast", "The YAML is copied")
    text = page.evaluate("navigator.clipboard.readText()")
    plan = solve(load_problem("x.yaml", text=text), load_catalog(toy_server.folder / "toy"))
    assert plan.cash_usd_per_month == 8640
    with open("copied.yaml", "w") as file:
        file.write(text)
    for name, flags in DOWNLOADS.items():
        page.get_by_text("Download").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        kept = download.value.path().read_text()
        said = text if flags is None else run("solve", "copied.yaml", *flags)[1]
        assert TOOK.sub("", kept) == TOOK.sub("", said), name
    linked = visit(page.url)
    linked.costs("$8,640")
    linked.holds("#f-volume", "23")
    assert linked.page.get_by_label("acme", exact=True).is_checked()
    # What would lower the cost is taken as a choice is; a bill says why it cannot be.
    linked.page.get_by_role("button", name="Take as the question: leave out limits.prov").click()
    linked.costs("$6,840")  # two big ones and a small one
    assert not linked.page.get_by_label("acme", exact=True).is_checked()
    linked.page.fill("#f-today", "7000")
    linked.shows(".choices .untaken", "cannot be taken: a bill says no fleet")
    assert shown.said == linked.said == []


DOWNLOADS = {
    "Report, HTML": ("--format", "html"),
    "Purchases, CSV": ("--format", "csv"),
    "Plan, JSON": ("--json",),
    "Sheet, JSON": ("--format", "sheet-json"),
    "Problem, YAML": None,
}
TOOK = re.compile(r"(?<=seconds\": )[\d.e-]+|[\d.]+ s\b")
"""Seconds, which no two solves share."""


def test_a_trace_is_uploaded_and_a_file_taken_over(visit, tmp_path):
    rows = "".join(f"{i},1,1\n" for i in range(60))
    (tmp_path / "log.csv").write_text("arrival,input_tokens,output_tokens\n" + rows)
    shown = visit()
    page = shown.page
    shown.costs("$3,960")
    page.select_option("#f-unit", "trace")
    shown.shows('[data-fault="volume"]', "how much is asked?")
    page.set_input_files("#f-trace-file", tmp_path / "log.csv")
    shown.costs("$1,080")  # a request a second
    page.locator("summary", has_text="The problem as YAML").click()
    text = page.input_value("#f-yaml")
    assert "traffic: {kind: trace, file: log.csv}" in text
    page.fill("#f-yaml", re.sub("traffic: .*", TWO_A_DAY, text))
    page.get_by_role("button", name="Take it over").click()
    shown.costs("$1,080")
    shown.holds("#f-unit", "tokens_per_day")
    shown.holds("#f-volume", "200")
    page.fill("#f-yaml", "workloads: [")
    page.get_by_role("button", name="Take it over").click()
    shown.shows('[data-fault="yaml"]', "line 2: not valid YAML")
    shown.reads(".status .said", "One thing is to be mended")
    [said] = shown.said  # Chromium tells of every reply that is no success
    assert said.startswith("Failed to load resource: the server responded with a status of 422")


def test_a_benchmark_is_uploaded_and_the_plan_stands_on_it(visit, toy_server, tmp_path):
    # Nobody has measured these tokens on an L40S in public.
    head = "precision,tensor_parallel,input_tokens,output_tokens,concurrency"
    for name, rate in (("slow.csv", 900), ("wrong.csv", 90_000)):
        row = f"bf16,1,1510,310,64,{rate}"
        (tmp_path / name).write_text(f"{head},output_tokens_per_second\n{row}\n")
    shown = visit(f"{toy_server.address}#{urlencode({'yaml': ON_L40S})}")
    page = shown.page
    shown.answered()
    shown.shows(".sheet .buy", "estimated")
    page.set_input_files("#f-benchmark", tmp_path / "slow.csv")
    # What the file leaves out is asked for, beside it.
    shown.shows('[data-fault="benchmark"]', "gpu: required")
    page.fill("#f-bench-gpu", "l40s-48gb")
    shown.answered()
    shown.shows(".sheet .buy", "measured")
    shown.reads(".kept li span", "slow.csv")
    shared = visit(page.url)  # the link names the upload
    shared.answered()
    shared.shows(".sheet .buy", "measured")
    page.get_by_role("button", name="Remove").click()
    shown.shows(".sheet .buy", "estimated")
    page.set_input_files("#f-benchmark", tmp_path / "wrong.csv")
    page.fill("#f-bench-gpu", "l40s-48gb")
    shown.shows('[data-fault="benchmark"]', "is above the physical bound")
    assert shown.said == shared.said == []


ON_L40S = """\
schema_version: 1
workloads:
  - name: chat
    llm: llama-3.1-8b
    precision: [bf16]
    traffic: {kind: requests_per_second, requests_per_second: 1}
    requests: {input_tokens: 1510, output_tokens: 310}
objective: gpus
limits:
  gpus: {allow: [l40s-48gb]}
alternatives: {count: 0}
"""  # of the fewest GPUs, beside which nothing else is solved

TWO_A_DAY = (
    "traffic: {kind: tokens_per_day, tokens_per_day: 200}\n"
    "    requests: {input_tokens: 1, output_tokens: 1}"
)


def test_it_fits_every_screen_in_light_and_dark(visit):
    shown = visit()
    shown.costs("$3,960")
    page = shown.page
    page.locator("summary", has_text="More limits").click()
    page.get_by_text("Download").click()
    for width in (PHONE, TABLET, DESK):
        page.set_viewport_size({"width": width, "height": 860})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate("scrollTo(0, 0)")
        if width == PHONE:  # where the form fills the screen the cost stands at its foot
            page.locator(".glance").wait_for()
            assert page.inner_text(".glance").startswith("$3,960 per month")
            page.locator(".glance").click()
            page.locator(".glance").wait_for(state="hidden")
        for scheme, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 25, 31)")):
            page.emulate_media(color_scheme=scheme)
            color = "getComputedStyle(document.querySelector('.head')).backgroundColor"
            assert page.evaluate(color) == paper
    assert shown.said == []


def test_all_of_it_is_reached_with_the_keyboard_and_has_a_name(visit):
    shown = visit()
    shown.costs("$3,960")
    page = shown.page
    first = ["To the answer", "Compare", "Copy link", "Copy YAML", "Download", "LLM", "How much"]
    assert [tabbed(page) for _ in first] == first
    assert page.evaluate(AMISS) == []
    page.focus("#f-llm")
    with page.expect_request("**/page/answer"):
        page.keyboard.press("Enter")
    shown.costs("$3,960")
    providers = page.locator("summary", has_text="Providers")
    providers.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the first of them
    assert page.locator('[data-several="providers"] .chosen').inner_text() == "acme"
    page.keyboard.press("Escape")
    assert page.locator('[data-several="providers"][open]').count() == 0
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    shown.costs("$5,760")  # two big ones
    # The answer is told once it is there, and what is taken with a key leaves the focus in sight.
    shown.heard("$5,760 per month. Answered in ")
    page.get_by_role("button", name="Take as the question: leave out limits.prov").focus()
    page.keyboard.press("Enter")
    shown.heard("$3,960 per month. Answered in ")
    shown.becomes("document.activeElement.tagName === 'H1'")
    assert page.evaluate(RING) == "solid"
    page.fill("#f-tpot", "50")
    shown.heard("One thing is to be mended")
    assert shown.said == []


def tabbed(page: Any) -> str:
    """The name of what the next press of Tab comes to, which shows that it is there."""
    page.keyboard.press("Tab")
    assert page.evaluate(RING) == "solid"
    return str(page.evaluate(NAME))


NAME = "(e => (e.labels?.[0] ?? e).textContent.trim())(document.activeElement)"
RING = "getComputedStyle(document.activeElement).outlineStyle"
AMISS = """(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const named = (e) => e.labels?.length || e.ariaLabel || e.textContent.trim();
  const told = (e) => e.getAttribute("aria-describedby").split(" ").every((id) =>
    document.getElementById(id));
  const twice = all("[id]").filter((e) => all(`[id="${e.id}"]`).length > 1);
  return [
    ...all("input, select, textarea, button, summary, [role=group]").filter((e) => !named(e)),
    ...all("[aria-describedby]").filter((e) => !told(e)),
    ...all("fieldset").filter((e) => !e.querySelector("legend")?.textContent.trim()),
    ...all("svg, img").filter((e) => !(e.ariaHidden || e.getAttribute("role") === "img" || e.alt)),
    ...all("main, h1").filter((e, i, those) => those.length !== 2),
    ...twice,
  ].map((e) => e.outerHTML.slice(0, 200));
})()"""
"""What somebody who hears the page would miss: names, descriptions, one main part, one heading."""


def test_a_newer_question_ends_the_older_and_stop_ends_both(visit):
    shown = visit()
    page = shown.page
    for volume in ("23", "33", "43"):
        page.fill("#f-volume", volume)
        page.wait_for_timeout(600)  # longer than a pause in typing
    shown.costs("$12,600")  # four big ones and one small: $17.50 x 720
    held: list[Any] = []
    page.route("**/page/answer", lambda route: held.append(route))  # nobody answers it
    page.fill("#f-volume", "53")
    page.get_by_role("button", name="Stop").click()
    shown.shows(".status .said", "Stopped; the last answer stands below")
    assert page.inner_text(".sheet h1").startswith("$12,600")  # still of 43
    assert len(held) == 1
    assert shown.said == []
