"""What the exit codes mean; scripts rely on them."""

from __future__ import annotations

FOUND = 0
BUG = 1
INPUT = 2
INFEASIBLE = 3
GATE = 4
UNPROVEN = 5
NO_PLAN = 6
INTERRUPTED = 130
READER_GONE = 141
TERMINATED = 143

EXIT_CODES = {
    FOUND: "plan found (optimal, or within the gap asked for); input in order",
    BUG: "a bug of ours",
    INPUT: "usage or input error",
    INFEASIBLE: "proven infeasible",
    GATE: "plan found; a gate (--max-..., --fail-...) or a replayed wish failed",
    UNPROVEN: "stopped before the proof, with --require-optimal",
    NO_PLAN: "stopped with no plan (not the same as infeasible)",
    INTERRUPTED: "interrupted",
    READER_GONE: "the reader of the pipe went away",
    TERMINATED: "terminated",
}
