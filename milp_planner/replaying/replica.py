"""One replica as it serves: who is in it, who waits for it, and when the next one is done.

A replica with d requests decoding gives each of them a token every t_d(d) seconds. Its *virtual
time* counts the tokens that one which was there all along has got by now, so that a request that
starts at V leaves at V + its output tokens, whoever comes and goes: one heap holds all ends.

Prefill is chunked: while prompts wait for theirs, each step carries c seconds of the one that came
first, and takes t_d(d) + c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf

from milp_planner.lazily import dataclass

NOBODY = -1


@dataclass(frozen=True)
class ReplicaSpeed:
    """How one kind of replica serves."""

    decode_step_s: tuple[float, ...]
    """t_d(d): seconds per output token with d = 1, 2, … S requests decoding; S are its places."""

    prefill_s_per_token: float = 0.0
    """Seconds of prefill per input token."""

    chunk_s: float = inf
    """c, seconds of prefill that one step carries. Infinite: a prompt stops all decoding."""

    kv_tokens: float = inf
    """Input and output tokens that the KV cache holds."""

    @property
    def places(self) -> int:
        """Requests in flight at most."""
        return len(self.decode_step_s)


@dataclass
class Journeys:
    """When each request passed each gate, in seconds on the clock of its arrival; infinite where it
    never did. All lists are in the order of arrival."""

    arrived_s: Sequence[float]
    input_tokens: Sequence[float]
    output_tokens: Sequence[float]
    admitted_s: list[float]
    first_token_s: list[float]
    left_s: list[float]
    replica: list[int]
    """Which served it; -1 where none did."""

    restarts: int = 0
    """Times that a request was lost with its replica and began anew."""

    sent: int = 0
    """Those that came before the replay was stopped: the first ones."""

    @classmethod
    def of(
        cls,
        arrived_s: Sequence[float],
        input_tokens: Sequence[float],
        output_tokens: Sequence[float],
    ) -> Journeys:
        """Requests that have not set out."""
        n = len(arrived_s)
        never = ([inf] * n, [inf] * n, [inf] * n)
        return cls(arrived_s, input_tokens, output_tokens, *never, [NOBODY] * n)


class Replica:
    """The state of one replica. Its fields are read in the event loop: a call costs as much."""

    __slots__ = (
        "chunk_s",
        "due_s",
        "ends",
        "inside",
        "is_on",
        "journeys",
        "kind",
        "load",
        "number",
        "per_request",
        "prefill_s_per_token",
        "prompt_is_next",
        "prompts",
        "queue",
        "rest_s",
        "room",
        "since_s",
        "slots",
        "steps",
        "virtual",
    )

    def __init__(
        self, number: int, kind: ReplicaSpeed, journeys: Journeys, queue: deque[int]
    ) -> None:
        self.number, self.kind, self.journeys, self.queue = number, kind, journeys, queue
        self.steps = (0.0, *kind.decode_step_s)
        self.slots, self.chunk_s = kind.places, kind.chunk_s
        self.prefill_s_per_token = kind.prefill_s_per_token
        self.per_request = 1.0 / kind.places
        self.is_on = True
        self.load = 0.0  # in flight and waiting here, per place
        self.since_s = 0.0  # when virtual time and the rest of the prompt were last brought on
        self.virtual = 0.0
        self.due_s = inf  # when the next prompt or answer is done, and which of the two
        self.prompt_is_next = False
        self.empty()

    def empty(self) -> None:
        """Nobody is in it."""
        self.ends: list[tuple[float, int]] = []  # (virtual time at its end, request), a heap
        self.prompts: deque[int] = deque()
        self.rest_s = 0.0  # seconds of prefill left of the first prompt
        self.inside = 0
        self.room = self.kind.kv_tokens

    def fits(self, request: int) -> bool:
        """Whether it can be admitted. One beyond the whole cache goes into an empty replica: else
        it would wait for ever."""
        if self.inside >= self.slots:
            return False
        of = self.journeys
        tokens = of.input_tokens[request] + of.output_tokens[request]
        return self.room >= tokens or self.inside == 0

    def advance(self, now_s: float) -> None:
        """Bring tokens and prefill on to this moment."""
        passed_s = now_s - self.since_s
        self.since_s = now_s
        decoding = len(self.ends)
        if not self.prompts:
            if decoding:
                self.virtual += passed_s / self.steps[decoding]
        elif decoding == 0 or self.chunk_s == inf:
            self.rest_s -= passed_s
        else:
            steps = passed_s / (self.steps[decoding] + self.chunk_s)
            self.virtual += steps
            self.rest_s -= steps * self.chunk_s

    def renew(self) -> None:
        """Find out when the next prompt or answer is done."""
        decoding = len(self.ends)
        if not self.prompts:
            self.prompt_is_next = False
            if decoding:
                tokens = self.ends[0][0] - self.virtual
                self.due_s = self.since_s + tokens * self.steps[decoding]
            else:
                self.due_s = inf
        elif decoding == 0 or self.chunk_s == inf:
            self.prompt_is_next = True
            self.due_s = self.since_s + self.rest_s
        else:
            prompt_steps = self.rest_s / self.chunk_s
            answer_steps = self.ends[0][0] - self.virtual
            self.prompt_is_next = prompt_steps <= answer_steps
            steps = prompt_steps if self.prompt_is_next else answer_steps
            self.due_s = self.since_s + steps * (self.steps[decoding] + self.chunk_s)

    def admit(self, request: int) -> None:
        """Let a request in; the replica has been advanced to this moment."""
        of = self.journeys
        of.admitted_s[request] = self.since_s
        of.replica[request] = self.number
        self.inside += 1
        self.room -= of.input_tokens[request] + of.output_tokens[request]
        work_s = self.prefill_s_per_token * of.input_tokens[request]
        if work_s <= 0:
            of.first_token_s[request] = self.since_s
            heappush(self.ends, (self.virtual + of.output_tokens[request], request))
            return
        self.prompts.append(request)
        if len(self.prompts) == 1:
            self.rest_s = work_s

    def finish_next(self) -> bool:
        """The prompt or answer that was due is done; True where that left a place."""
        of, now_s = self.journeys, self.due_s
        self.advance(now_s)
        if self.prompt_is_next:
            request = self.prompts.popleft()
            of.first_token_s[request] = now_s
            heappush(self.ends, (self.virtual + of.output_tokens[request], request))
            if self.prompts:
                self.rest_s = self.prefill_s_per_token * of.input_tokens[self.prompts[0]]
            return False
        self.virtual, request = heappop(self.ends)
        of.left_s[request] = now_s
        self.inside -= 1
        self.room += of.input_tokens[request] + of.output_tokens[request]
        self.load -= self.per_request
        return True

    def lose_all(self) -> list[int]:
        """Everybody in it is lost; who that was."""
        of = self.journeys
        lost = [request for _, request in self.ends] + list(self.prompts)
        for request in lost:
            of.admitted_s[request] = of.first_token_s[request] = inf
            of.replica[request] = NOBODY
        of.restarts += len(lost)
        self.empty()
        return lost
