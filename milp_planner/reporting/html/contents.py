"""What stands on the page, in words and places: the sheet's own figures, written for people."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from milp_planner.lazily import dataclass
from milp_planner.plans.sheet.other_parts import SheetChoice, ToMeasure
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.html.asked import NoPlan, asked_lines
from milp_planner.reporting.html.cells import (
    Fact,
    Row,
    instead_words,
    latency_words,
    loss_words,
    replica_words,
    unit_words,
    what_words,
)
from milp_planner.reporting.html.charts import (
    Bar,
    Chart,
    bar,
    hours_chart,
    staircase_chart,
    traffic_chart,
)
from milp_planner.reporting.html.futures import FuturesShown, futures_shown
from milp_planner.reporting.sheets import curves, words
from milp_planner.reporting.text.wording import (
    apportion,
    fine_percent,
    money,
    number,
    percent,
    plural,
    prices,
    signed_usd,
    usd,
    usd_per_million,
)

SHA_DIGITS = 8
FOUND = "found"
FAR, CUT_AT = 4.0, 2.5
"""Times the plan's cost: above the first a choice makes all other bars short, and is cut."""


@dataclass(frozen=True)
class Contents:
    """The sheet, and what of it is written how."""

    sheet: Sheet

    @cached_property
    def decimals(self) -> int:
        """Of every amount per month."""
        return words.decimals_of(self.sheet)

    @property
    def has_plan(self) -> bool:
        """False where the sheet says why there is no plan."""
        return self.sheet.answer.cash_usd_per_month is not None

    # ---- the answer

    @property
    def amount(self) -> str:
        """`$6,617`."""
        if self.sheet.futures is not None:
            return usd(self.sheet.futures.expected_usd_per_month, self.decimals)
        return usd(self.sheet.answer.cash_usd_per_month or 0.0, self.decimals)

    @property
    def together(self) -> str:
        """What is bought comes to; of several futures in the leading one alone."""
        return usd(self.sheet.answer.cash_usd_per_month or 0.0, self.decimals)

    @property
    def asked(self) -> tuple[str, ...]:
        """The question, a line for each workload and one for its limits."""
        return tuple(asked_lines(self.sheet))

    @cached_property
    def no_plan(self) -> NoPlan:
        """Why there is none, and what would give one."""
        return NoPlan(self.sheet, self.sheet.diagnosis)

    @property
    def title(self) -> str:
        """What a browser's tab says."""
        return (
            f"{self.sheet.name}: {self.amount if self.has_plan else self.no_plan.verdict.lower()}"
        )

    @property
    def verdict(self) -> str:
        """`Optimal plan`, with what is said of its price per token and of penalties."""
        answer = self.sheet.answer
        said = [words.verdict(self.sheet)]
        if answer.usd_per_million_tokens is not None and self.sheet.futures is None:
            said.append(f"{usd_per_million(answer.usd_per_million_tokens)} per 1M tokens")
        if fines := sum(answer.penalties_usd_per_month.values()):
            said.append(f"and {usd(fines, self.decimals)} of penalties, which nobody pays")
        return ", ".join(said)

    @property
    def proof(self) -> str:
        """How the answer is known."""
        return words.proof_words(self.sheet)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answer in words."""
        return tuple(words.answer_sentences(self.sheet))

    @cached_property
    def futures(self) -> FuturesShown | None:
        """What several futures share, and what each comes to; None where there is one."""
        told = self.sheet.futures
        return None if told is None else futures_shown(told.record())

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The figures that people ask for first."""
        return tuple(self._facts())

    def _facts(self) -> Iterator[Fact]:
        sheet, answer = self.sheet, self.sheet.answer
        yield Fact("GPUs at the peak", f"{answer.gpus:,}")
        yield Fact("Providers", ", ".join(answer.providers) or "none")
        used = [w.utilization for w in sheet.workloads if w.utilization is not None]
        if used:
            yield Fact("Utilization at the peak", percent(max(used)))
        if sheet.purchases:
            oldest = max(p.price_age_days for p in sheet.purchases)
            yield Fact("Oldest price", plural(oldest, "day"))
        if sheet.risks.rated_usd_per_month:
            share = sheet.risks.estimated_usd_per_month / sheet.risks.rated_usd_per_month
            yield Fact("Rests on estimates", percent(share))
        yield Fact("Bound by commitments", usd(answer.commitment_usd, self.decimals))
        today = sheet.question.today_usd_per_month
        if today is not None and answer.cash_usd_per_month is not None:
            extra = signed_usd(answer.cash_usd_per_month - today, self.decimals)
            yield Fact("Against today's bill", f"{extra} a month")

    # ---- what to buy

    @property
    def has_several_workloads(self) -> bool:
        """Whether a purchase must say whom it serves."""
        return len(self.sheet.question.workloads) > 1

    @property
    def purchases(self) -> tuple[Row, ...]:
        """What, its replicas, where, USD per GPU-hour, its age, source of rates, USD a month."""
        bought = self.sheet.purchases
        amounts = apportion([p.cash_usd_per_month for p in bought], self.decimals)
        hourly = iter(prices([p.usd_per_gpu_hour or 0.0 for p in bought if p.units]))
        return tuple(
            Row(
                (
                    p.workload,
                    what_words(p),
                    replica_words(p),
                    f"{p.offering}, {p.billing.replace('_', ' ')}",
                    next(hourly) if p.units else "",
                    f"{p.price_age_days:,} d",
                    ", ".join(p.rate_sources),
                    money(amount, self.decimals),
                )
            )
            for p, amount in zip(bought, amounts, strict=True)
        )

    @property
    def shared(self) -> tuple[str, ...]:
        """Which replicas stand on which of the units that they share."""
        return tuple(words.shared_words(self.sheet))

    @property
    def served(self) -> tuple[Row, ...]:
        """How each workload fares: LLM, peak, capacity, utilization, time per token."""
        return tuple(
            Row(
                (
                    w.name,
                    w.llm,
                    f"{number(w.peak)} {unit_words(w.unit)}",
                    f"{number(w.capacity)} {unit_words(w.unit)}",
                    "not assessed" if w.utilization is None else percent(w.utilization),
                    latency_words(w.tpot_s, w.tpot_wish_s),
                    latency_words(w.ttft_s, w.ttft_wish_s),
                    fine_percent(1 - w.shortfall_share),
                )
            )
            for w in self.sheet.workloads
        )

    # ---- what else

    @cached_property
    def _most_usd(self) -> float:
        """The longest bar: of a choice far above the rest it is cut."""
        plan = self.sheet.answer.cash_usd_per_month or 0.0
        known = [c.cash_usd_per_month or 0.0 for c in self.sheet.choices or ()]
        most = max([plan, *known], default=1.0)
        return most if not plan or most <= FAR * plan else CUT_AT * plan

    @property
    def cut_above(self) -> str:
        """The amount at which bars end; '' where none is cut."""
        known = [c.cash_usd_per_month or 0.0 for c in self.sheet.choices or ()]
        is_cut = max(known, default=0.0) > self._most_usd
        return usd(self._most_usd, self.decimals) if is_cut else ""

    @property
    def choices(self) -> tuple[Row, ...]:
        """The plan, and every choice that the problem allows."""
        plan = self.sheet.answer.cash_usd_per_month or 0.0
        fleet = words.fleet_words(self.sheet.answer.fleet)
        mine = Row(("the plan", self.amount, "", "", fleet), self._bar(plan), is_plan=True)
        return (mine, *map(self._choice_row, self._shown(needs=False)))

    @property
    def choices_to_allow(self) -> tuple[Row, ...]:
        """Those that the problem would have to allow first."""
        return tuple(map(self._choice_row, self._shown(needs=True)))

    @property
    def needs(self) -> str:
        """`It would take spot in limits.billing.allow`: what it would have to allow."""
        said = words.needs_words(self._shown(needs=True))
        return said[:1].upper() + said[1:]

    @property
    def doubles(self) -> tuple[str, ...]:
        """What buys the same as another choice does, a sentence each."""
        return tuple(words.doubles(self.sheet))

    @property
    def already(self) -> str:
        """Choices that the plan itself is."""
        return ", ".join(words.already(self.sheet))

    def _shown(self, *, needs: bool) -> list[SheetChoice]:
        told = [c for c in self.sheet.choices or () if c.verdict != "same"]
        return [c for c in told if bool(c.needs) is needs]

    def _choice_row(self, choice: SheetChoice) -> Row:
        cash = choice.cash_usd_per_month
        return Row(
            tuple(words.choice_row(self.sheet, choice)), None if cash is None else self._bar(cash)
        )

    def _bar(self, cash: float) -> Bar:
        return bar(cash, self._most_usd, self.sheet.answer.cash_usd_per_month)

    @property
    def alternatives(self) -> tuple[Row, ...]:
        """Rank, amount, difference, what it buys instead."""
        return tuple(
            Row(
                (
                    str(line.rank),
                    usd(line.cash_usd_per_month, self.decimals),
                    signed_usd(line.extra_usd_per_month, self.decimals) if line.rank > 1 else "",
                    instead_words(line),
                ),
                is_plan=line.rank == 1,
            )
            for line in self.sheet.alternatives
        )

    @property
    def levers(self) -> tuple[Row, ...]:
        """What would lower the cost, each change solved alone."""
        found = [v for v in self.sheet.levers or () if v.verdict == FOUND and v.saves_usd_per_month]
        most = max((abs(v.saves_usd_per_month or 0.0) for v in found), default=1.0)
        return tuple(
            Row(
                (
                    v.name,
                    usd(v.saves_usd_per_month or 0.0, self.decimals),
                    "" if v.saves_share is None else fine_percent(v.saves_share),
                    f"{v.path}: {v.value}",
                ),
                bar(max(0.0, v.saves_usd_per_month or 0.0), most),
            )
            for v in found
        )

    # ---- what it rests on

    @property
    def ages(self) -> tuple[Row, ...]:
        """Money by the age of the prices it is paid at."""
        ages = self.sheet.risks.prices_by_age
        total = sum(a.usd_per_month for a in ages)
        return tuple(
            Row(
                (plural(a.age_days, "day"), usd(a.usd_per_month, self.decimals)),
                bar(a.usd_per_month, total),
            )
            for a in ages
        )

    @property
    def losses(self) -> tuple[Row, ...]:
        """What one failure leaves of each workload's peak."""
        return tuple(
            Row((loss_words(loss), percent(loss.share)), bar(loss.share, 1.0))
            for loss in self.sheet.risks.losses
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What the figures do not show, in sentences."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        judged = [w for w in self.sheet.risks.wishes if not w.measured]
        if judged:
            named = ", ".join(f"{w.what} of {w.workload}" for w in judged)
            yield f"Judged on estimates: {named}."
        idle = self.sheet.hours.capacity_idle
        if idle is not None:
            paid = usd(self.sheet.hours.billing_idle_usd_per_month or 0.0)
            yield f"Idle: {percent(idle)} of the GPU-hours; hours without load cost {paid}."
        yield from words.left_out_words(self.sheet)
        yield from (f"{note}." for note in self.sheet.risks.notes)

    def said_of(self, one: ToMeasure) -> str:
        """The figure that a measurement must reach, and what becomes of the plan below it."""
        return " ".join(words.measure_words(self.sheet, one))

    def at_stake(self, one: ToMeasure) -> str:
        """What is paid for not knowing it."""
        return usd(one.at_stake_usd_per_month, self.decimals)

    @property
    def sources(self) -> str:
        """Catalog, problem and version."""
        origin = self.sheet.sources
        sha = f" (sha {origin.catalog_sha256[:SHA_DIGITS]})" if origin.catalog_sha256 else ""
        return (
            f"Catalog {origin.catalog_name} {origin.catalog_version}{sha}, "
            f"problem sha {origin.problem_sha256[:SHA_DIGITS]}, "
            f"milp-planner {origin.planner_version}."
        )

    # ---- charts

    @cached_property
    def staircase(self) -> Chart | None:
        """What budgets buy."""
        budgets = self.sheet.budgets
        return staircase_chart(budgets) if budgets is not None and budgets.steps else None

    @cached_property
    def traffic(self) -> Chart | None:
        """What other traffic costs."""
        curve = self.sheet.traffic
        return traffic_chart(curve) if curve is not None and len(curve.points) > 1 else None

    @cached_property
    def hours(self) -> Chart | None:
        """When units run."""
        return hours_chart(self.sheet.hours, self.sheet.purchases)

    @property
    def charts_heading(self) -> str:
        """`Other budgets, other traffic, hours of the month`: what the charts show."""
        drawn = {
            "other budgets": self.staircase,
            "other traffic": self.traffic,
            "hours of the month": self.hours,
        }
        return ", ".join(name for name, chart in drawn.items() if chart is not None).capitalize()

    @property
    def stairs(self) -> tuple[Row, ...]:
        """The figures of the staircase."""
        return tuple(Row(tuple(cells)) for cells in curves.budget_rows(self.sheet))

    @property
    def stairs_note(self) -> str:
        """What is not drawn; '' where everything is."""
        return curves.budget_words(self.sheet)

    @property
    def factor_heads(self) -> tuple[str, ...]:
        """Columns of the traffic's figures between the multiple and the fleet."""
        return tuple(curves.traffic_head(self.sheet)[1:-1])

    @property
    def factors(self) -> tuple[Row, ...]:
        """The figures of the traffic curve."""
        return tuple(Row(tuple(cells)) for cells in curves.traffic_rows(self.sheet))

    @property
    def break_even(self) -> str:
        """Where a fleet begins to pay."""
        return curves.break_even_words(self.sheet)

    @property
    def crossovers(self) -> tuple[str, ...]:
        """Which way to pay is the cheapest at which volume, where that was asked."""
        return tuple(curves.crossover_words(self.sheet))

    @property
    def block_heads(self) -> tuple[str, ...]:
        """Names and hours of the blocks."""
        return tuple(f"{b.name}, {b.hours:,.4g} h" for b in self.sheet.hours.blocks)

    @property
    def units(self) -> tuple[Row, ...]:
        """The figures of the hours: units of each purchase in each block."""
        return tuple(
            Row((p.offering, *map(str, p.units_by_block))) for p in self.sheet.purchases if p.units
        )


def contents_of(sheet: Sheet) -> Contents:
    """The sheet, ready to be laid out."""
    return Contents(sheet)
