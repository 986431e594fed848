"""What a sheet says in words, the same in every layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from milp_planner.plans.records import Status
from milp_planner.plans.sheet.other_parts import (
    LeftAfterLoss,
    SheetAlternative,
    SheetChoice,
    SheetLever,
    ToMeasure,
)
from milp_planner.plans.sheet.plan_parts import Bought, SheetPurchase, StandingShown
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.text.commitments import commitment_words
from milp_planner.reporting.text.confidence import left_out_line
from milp_planner.reporting.text.plans import proofs
from milp_planner.reporting.text.plans.futures import futures_answer, futures_sentences
from milp_planner.reporting.text.price_ages import stale_words
from milp_planner.reporting.text.wording import (
    duration,
    escape,
    fine_percent,
    money_decimals,
    number,
    percent,
    plural,
    signed_usd,
    usd,
    usd_per_million,
)

PLAIN = ("dedicated", "per_token")
MOST_ELSEWHERE = 4
SAME_USD = 0.005
MOST_SHARED = 12
"""Kinds of shared units that are told one by one."""


def decimals_of(sheet: Sheet) -> int:
    """Decimals of every amount per month."""
    return money_decimals(p.cash_usd_per_month for p in sheet.purchases)


def fleet_words(fleet: Sequence[Bought]) -> str:
    """`2 x b200-180gb-sxm packet-ai + 22 % per token bolt`; several workloads one by one."""
    mine: dict[str, list[str]] = {}
    for b in fleet:
        mine.setdefault(b.workload, []).append(_bought(b))
    if len(mine) < 2:
        return " + ".join(said for parts in mine.values() for said in parts) or "nothing"
    return "; ".join(f"{escape(name)}: {' + '.join(parts)}" for name, parts in mine.items())


def _bought(b: Bought) -> str:
    if b.requests_share is not None:
        return f"{fine_percent(b.requests_share)} per token {escape(b.provider)}"
    box = f"{b.gpus_per_unit} x " if b.gpus_per_unit > 1 else ""
    billing = "" if b.billing in PLAIN else f" {escape(b.billing)}"
    if b.part_of_gpus:
        return f"{b.units * b.gpus_per_unit} shared {escape(b.gpu)} {escape(b.provider)}{billing}"
    return f"{b.units} x {box}{escape(b.gpu)} {escape(b.provider)}{billing}"


def purchase_words(p: SheetPurchase) -> str:
    """`2 x 8 x h100-80gb-sxm azure spot`."""
    if not p.units:
        return f"{fine_percent(p.requests_share)} per token {escape(p.provider)}"
    box = f"{p.gpus_per_unit} x " if p.gpus_per_unit > 1 else ""
    billing = "" if p.billing in PLAIN else f" {escape(p.billing)}"
    if p.part_of_gpus:
        return f"{p.gpus} shared {escape(p.gpu)} {escape(p.provider)}{billing}"
    return f"{p.units} x {box}{escape(p.gpu)} {escape(p.provider)}{billing}"


def verdict(sheet: Sheet) -> str:
    """`Optimal plan`, and in which order it is the best where that is not cost."""
    if sheet.futures is not None:
        said = futures_answer(sheet.futures.record(), proven=sheet.answer.status == "optimal")
        return said.partition(":")[0] + f", on average over {len(sheet.futures.outcomes)} futures"
    word = "Optimal plan" if sheet.answer.status == "optimal" else "Best plan found"
    return word + proofs.FOR_GPUS if sheet.question.objective == "gpus" else word


def shared_words(sheet: Sheet) -> Iterator[str]:
    """`Shared, 1 x 8 x h100 aws: chat 1 x fp8 tp 1, code 2 x fp8 tp 2; 3 GPUs idle.`"""
    rows = sheet.shared_units
    for one in rows[:MOST_SHARED]:
        billing = "" if one.billing in PLAIN else f" {escape(one.billing)}"
        unit = f"{one.units} x {one.gpus_per_unit} x {escape(one.gpu)} {escape(one.provider)}"
        at = f" in {', '.join(map(escape, one.blocks))}" if one.blocks else ""
        stands = ", ".join(
            f"{escape(s.workload)} {s.replicas} x {escape(s.precision)} tp {s.tensor_parallel}"
            + _part_of_gpu(s)
            for s in one.stands
        )
        idle = f"; {plural(one.idle_gpus, 'GPU')} idle" if one.idle_gpus else ""
        each = " on each" if one.units > 1 else ""
        yield f"Shared, {unit}{billing}{at}: {stands or 'nothing'}{idle}{each}."
    if len(rows) > MOST_SHARED:
        yield f"And {plural(len(rows) - MOST_SHARED, 'more kind')} of shared units; see the JSON."


def _part_of_gpu(s: StandingShown) -> str:
    """` (50 % of its time, 45 % of its memory)` where LLMs share the GPU."""
    if s.memory_share is None:
        return ""
    return f" ({percent(s.time_share)} of its time, {percent(s.memory_share)} of its memory)"


def headline(sheet: Sheet) -> str:
    """The answer on one line."""
    answer, decimals = sheet.answer, decimals_of(sheet)
    if sheet.futures is not None:
        return futures_answer(sheet.futures.record(), proven=answer.status == "optimal")
    word = verdict(sheet)
    per_token = answer.usd_per_million_tokens
    tokens = "" if per_token is None else f" ({usd_per_million(per_token)} per 1M tokens)"
    fines = sum(answer.penalties_usd_per_month.values())
    extra = f", and {usd(fines)} of penalties" if fines else ""
    return f"{word}: {usd(answer.cash_usd_per_month or 0.0, decimals)} per month{tokens}{extra}"


def proof_words(sheet: Sheet) -> str:
    """`certified by CBC and HiGHS, gap 0 %, 1.0 s`."""
    proof, answer = sheet.proof, sheet.answer
    said = [*proofs.proof_words(proof, Status(answer.status), answer.gap, proof.gap_asked)]
    if proof.seconds is not None and proof.engines:
        said.append(f"{proof.seconds:.1f} s")
    return ", ".join(said)


def futures_words(sheet: Sheet) -> tuple[str, ...]:
    """What several futures share, a sentence each; empty where there is one."""
    return () if sheet.futures is None else tuple(futures_sentences(sheet.futures.record()))


def answer_sentences(sheet: Sheet) -> Iterator[str]:
    """The answer in words: what to rent, how full it runs, what one failure leaves, how sure."""
    where = ", ".join(escape(name) for name in sheet.answer.providers) or "nobody"
    yield f"{plural(sheet.answer.gpus, 'GPU')} at {where}: {fleet_words(sheet.answer.fleet)}."
    for use in sheet.answer.commitments:
        yield f"Paid already: {commitment_words(use, decimals_of(sheet))}."
    if sheet.answer.stale_prices is not None:
        yield stale_words(sheet.answer.stale_prices, decimals_of(sheet))
    for w in sheet.workloads:
        if w.utilization is not None:
            unit = {"requests/s": "req/s"}.get(w.unit, escape(w.unit))
            yield (
                f"{escape(w.name)} runs at {percent(w.utilization)} of its capacity at the peak of "
                f"{number(w.peak)} {unit} ({escape(w.band)} band)."
            )
        if w.shortfall_share > 0:
            yield f"{fine_percent(w.shortfall_share)} of {escape(w.name)} is left unserved."
    for kind in ("unit", "provider"):
        felt = [
            loss
            for loss in sheet.risks.losses
            if loss.kind == kind and (loss.share < 1 or loss.stands_by)
        ]
        if felt:
            worst = min(felt, key=lambda loss: loss.share)
            yield loss_words(worst, in_block=len(sheet.hours.blocks) > 1)
    yield from estimate_words(sheet)
    yield from not_judged_words(sheet)
    yield from replayed_words(sheet)


def loss_words(loss: LeftAfterLoss, *, in_block: bool = False) -> str:
    """`Losing vast-ai leaves capacity for 72 % of the peak of chat.`

    Where per-token offerings stand by: `Losing aws, together takes over, per token.`
    """
    what = "one unit of " if loss.kind == "unit" else ""
    peak = f"the peak of {escape(loss.workload)}"
    if in_block:
        peak += f" in block {escape(loss.block)}, with what runs then"
    if loss.stands_by:
        names = " and ".join(map(escape, loss.stands_by))
        takes = "takes" if len(loss.stands_by) == 1 else "take"
        part = "" if loss.share >= 1 else f", up to {percent(loss.share)}"
        return (
            f"Losing {what}{escape(loss.lost)}, {names} {takes} over what the rest cannot serve of "
            f"{peak}, per token{part}."
        )
    left = f"capacity for {percent(loss.share)} of" if loss.share > 0 else "nothing for"
    return f"Losing {what}{escape(loss.lost)} leaves {left} {peak}."


def estimate_words(sheet: Sheet) -> Iterator[str]:
    """How much of the money rests on rates that nobody measured."""
    risks = sheet.risks
    if risks.rated_usd_per_month and risks.estimated_usd_per_month:
        share = risks.estimated_usd_per_month / risks.rated_usd_per_month
        much = "All" if share == 1 else percent(share)
        yield f"{much} of the money rests on throughput that nobody has measured."


def left_out_words(sheet: Sheet) -> Iterator[str]:
    """`Without row 2279 of measurements.csv (…) this plan costs $10,785 more.`"""
    row = sheet.risks.row_left_out
    if row is not None:
        yield left_out_line(row.name, row.what, row.extra_usd_per_month)


def not_judged_words(sheet: Sheet) -> Iterator[str]:
    """`Not judged: the ttft of chat at bolt/tiny-chat, wished 2 s.`"""
    for w in sheet.risks.wishes:
        if w.not_judged_on:
            where = ", ".join(escape(name) for name in w.not_judged_on)
            what = w.what.replace("_", " ")
            wished = duration(w.asked_s)
            yield f"Not judged: the {what} of {escape(w.workload)} at {where}, wished {wished}."


def replayed_words(sheet: Sheet) -> Iterator[str]:
    """`In a replay the p99 tpot of chat is 43 ms, wished 30 ms: missed.`"""
    for w in sheet.risks.wishes:
        if w.in_replay:
            came = "never" if w.expected_s is None else duration(w.expected_s)
            wished = f"{came}, wished {duration(w.asked_s)}: {w.in_replay}"
            yield f"In a replay the {w.what} of {escape(w.workload)} is {wished}."


def choice_row(sheet: Sheet, choice: SheetChoice) -> list[str]:
    """Name, amount, difference and what is bought, of a choice that was solved."""
    decimals = decimals_of(sheet)
    name = escape(choice.name) + (f" ({escape(choice.detail)})" if choice.detail else "")
    if choice.cash_usd_per_month is None:
        return [name, "-", "", "", choice_remark(sheet, choice)]
    extra, share = choice.extra_usd_per_month or 0.0, choice.extra_share or 0.0
    percents = f"{'-' if share < 0 else '+'}{fine_percent(abs(share))}"
    amounts = [usd(choice.cash_usd_per_month, decimals), signed_usd(extra, decimals)]
    return [name, *amounts, percents, choice_remark(sheet, choice)]


def choice_remark(sheet: Sheet, choice: SheetChoice) -> str:
    """What it buys; or why there is none."""
    if choice.verdict == "infeasible":
        return f"cannot be: {escape(choice.why)}"
    if choice.verdict == "not_reached":
        return "not reached in the time for choices"
    said = fleet_words(choice.fleet) if choice.fleet else "as the problem states it"
    cash, score = choice.cash_usd_per_month or 0.0, choice.score_usd_per_month or 0.0
    if abs(score - cash) > SAME_USD or any(sheet.answer.penalties_usd_per_month.values()):
        said = f"score {usd(score, decimals_of(sheet))}: {said}"
    if choice.served_share is not None and choice.served_share < 1:
        said = f"serves {fine_percent(choice.served_share)}: {said}"
    broken = f"; breaks a limit: {escape(choice.why)}" if choice.why else ""
    unproven = "" if choice.proven or not choice.fleet or choice.why else "; not proven"
    return said + broken + unproven


def needs_words(choices: Iterable[SheetChoice]) -> str:
    """`it would take spot, per_token in limits.billing.allow`: what is to be allowed, said once."""
    wanted: dict[str, list[str]] = {}
    for needs in dict.fromkeys(c.needs for c in choices if c.needs):
        names, inside, where = needs.partition(" in ")
        wanted.setdefault(f"{inside}{where}", []).append(names)
    said = (f"{', '.join(dict.fromkeys(names))}{where}" for where, names in wanted.items())
    return f"it would take {escape('; '.join(said))}"


def doubles(sheet: Sheet) -> Iterator[str]:
    """What buys the same as another choice does, a sentence each."""
    names = {one.key: one.name for one in sheet.choices or ()}
    alike: dict[str, list[str]] = {}
    for c in sheet.choices or ():
        if c.verdict == "same" and c.same_as:
            alike.setdefault(c.same_as, []).append(escape(c.name))
    for key, mine in alike.items():
        are = "are" if len(mine) > 1 else "is"
        yield f"The same as {escape(names.get(key, key))} {are}: {', '.join(mine)}."


def already(sheet: Sheet) -> list[str]:
    """Names of choices that the plan itself is."""
    chosen = sheet.choices or ()
    return [escape(c.name) for c in chosen if c.verdict == "same" and not c.same_as]


def elsewhere_words(line: SheetAlternative) -> str:
    """`the same at verda +$29, dataoorts +$173`; '' where nobody else sells it."""
    best: dict[str, float] = {}
    for one in line.elsewhere:
        name = ", ".join(escape(n) for n in one.names)
        best[name] = min(best.get(name, one.extra_usd_per_month), one.extra_usd_per_month)
    nearly = best.pop("", None)
    said = [f"{name} {signed_usd(extra, 0)}" for name, extra in best.items()]
    more = len(said) - MOST_ELSEWHERE
    shown = [*said[:MOST_ELSEWHERE], f"{more} more"] if more > 0 else said
    parts = [f"the same at {', '.join(shown)}"] if shown else []
    parts += [] if nearly is None else [f"nearly the same {signed_usd(nearly, 0)}"]
    return "; ".join(parts)


def levers_shown(sheet: Sheet) -> list[SheetLever]:
    """Levers that save anything, but for those that stand among the choices."""
    return [v for v in _told_here(sheet) if v.saves_usd_per_month]


def _told_here(sheet: Sheet) -> list[SheetLever]:
    told = {c.key for c in sheet.choices or ()}
    told |= {"api" for c in sheet.choices or () for v in sheet.levers or () if _all_of_it(c, v)}
    return [v for v in sheet.levers or () if v.key not in told]


def _all_of_it(choice: SheetChoice, lever: SheetLever) -> bool:
    """Whether an API that may serve a part serves everything, which is a choice."""
    ours = (choice.key, lever.key) == ("per_token", "api")
    return ours and choice.fleet == lever.fleet


def lever_words(lever: SheetLever) -> str:
    """`loosen tpot of chat to 100 ms: 2 x b200-180gb-sxm packet-ai`."""
    unproven = "" if lever.proven else "; not proven"
    return f"{escape(lever.name)}: {fleet_words(lever.fleet)}{unproven}"


def lever_amounts(sheet: Sheet, lever: SheetLever) -> list[str]:
    """How much less it costs, and as a share."""
    saves, share = lever.saves_usd_per_month or 0.0, lever.saves_share or 0.0
    return [signed_usd(-saves, decimals_of(sheet)), f"-{fine_percent(share)}"]


def levers_without(sheet: Sheet) -> Iterator[str]:
    """What saves nothing, and what there was no time for, a sentence each."""
    rest = _told_here(sheet)
    nothing = [escape(v.name) for v in rest if v.saves_usd_per_month == 0]
    if nothing:
        yield f"Saves nothing: {'; '.join(nothing)}."
    late = [escape(v.name) for v in rest if v.verdict == "not_reached"]
    if late:
        yield f"Not reached in the time: {'; '.join(late)}."


def measure_words(sheet: Sheet, one: ToMeasure) -> Iterator[str]:
    """What the figure must be, what becomes of the plan where it is a fifth less, and how to see
    what it becomes by the figure itself."""
    tpot = "" if one.tpot_s is None else f", and TPOT at most {duration(one.tpot_s)}"
    must, planned = one.must_print_requests_per_second, one.requests_per_second
    counts = "" if must <= planned else f": plans count on {number(planned)} of it"
    yield f"It must print Request throughput {number(must)} req/s or more{tpot}{counts}."
    if one.if_slower is not None:
        less = percent(one.if_slower.share_less)
        if one.if_slower.cash_usd_per_month is None:
            proven = one.if_slower.status == "infeasible"
            what = "there is no plan" if proven else "no plan was found in the time for choices"
            yield f"{less} less, and {what}."
        else:
            extra = signed_usd(one.if_slower.extra_usd_per_month or 0.0, 0)
            yield f"{less} less, and the plan is {fleet_words(one.if_slower.fleet)}: {extra}."
