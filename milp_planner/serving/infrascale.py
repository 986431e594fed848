"""InfraScale's published formulas for concurrent users, and an exact search over them.

    S GPUs per node, N nodes, batch 2^B, Q batches in queue; P billions of parameters, b bytes each,
    L layers, d hidden size, T tokens per request, p of them prompt, V GB of memory per GPU, F peak
    operations/s and BW bytes/s of one GPU, o overhead, U users.

    S'     = 1 + 0.85·(S − 1)                                      GPUs' worth of one node
    memory = (P·b + 2^B·T·d·b/2^30 + 2·L·d·2^B·T·b/2^30)·(1 + o) ≤ S'·V                 [GB]
    t_p    = max(2·2^B·L·p·d·(2d + p)/(0.55·F), b·(P·1e9 + 2·L·2^B·p·d + 2^B·p·d)/BW)   [s]
    tpot   = max(2·2^B·P·1e9/(0.55·F), 2·(P·1e9 + 2·2^B·p·d + 2·2^B·d)/BW) ÷ r          [s]
             r = k^(−1/(k + 1)),  k = 24/P
    t_one  = (t_p + tpot·(T − p))/(T − p)
    speed  : max(Q, 1)·t_one·log10(min(Q, 1)·2^B + 30)/S' ≤ 1/(tokens/s per user)
    users  : U·(requests per user) ≤ N·Q·2^B
    wait   : t_p + (t_p + tpot·(T − p))·max(Q − 1, 0) ≤ longest wait

Its README prints S' = 1 + 0.15·(S − 1); its code and its data mean 0.85. Its code also speeds
requests up for Q < 1; with max(Q, 1) the formulas meet its own single-GPU measurements within 7 %.
The tool relaxes the integers and rounds up; here S and B are enumerated, which is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf, log10

from milp_planner.lazily import dataclass

GIB = 2**30
COMPUTE_SHARE = 0.55
SHARE_OF_A_FURTHER_GPU = 0.85
SPEED_OFFSET = 30
REFERENCE_PARAMETERS_B = 24
OVERHEAD = 0.20
LARGEST_EXPONENT = 10  # batches of up to 1,024
ALMOST = 1e-9


@dataclass(frozen=True)
class Hardware:
    """One GPU."""

    memory_gb: float
    flops: float
    """Peak, operations per second."""

    bytes_per_second: float


@dataclass(frozen=True)
class Network:
    """One LLM."""

    parameters_b: float
    layers: int
    hidden_size: int
    bytes_per_parameter: float = 2.0


@dataclass(frozen=True)
class Wish:
    """What each user should get."""

    tokens_per_second: float
    """Generated tokens per second and user, at least."""

    longest_wait_s: float | None = None
    """Until the first token, at most; None for any."""

    requests_per_user: float = 1.0


@dataclass(frozen=True)
class Node:
    """S GPUs that serve batches of 2^B requests of one size."""

    network: Network
    hardware: Hardware
    gpus: int
    exponent: int
    tokens: float
    """Of a request, T."""

    prompt_tokens: float
    overhead: float = OVERHEAD

    @property
    def batch(self) -> int:
        """Requests at once, 2^B."""
        return int(2**self.exponent)

    @property
    def worth(self) -> float:
        """S', the GPUs' worth of the node."""
        return 1 + SHARE_OF_A_FURTHER_GPU * (self.gpus - 1)

    @property
    def memory_gb(self) -> float:
        """Weights, activations and KV cache, with the overhead   [GB, as the formula counts]."""
        n, b = self.network, self.network.bytes_per_parameter
        activations = self.batch * self.tokens * n.hidden_size * b / GIB
        cache = 2 * n.layers * activations
        return (n.parameters_b * b + activations + cache) * (1 + self.overhead)

    @property
    def fits(self) -> bool:
        """Whether the memory of the node holds it."""
        return self.memory_gb <= self.worth * self.hardware.memory_gb * (1 + ALMOST)

    @property
    def prefill_s(self) -> float:
        """t_p, prefill of a whole batch   [s]."""
        n, h, prompt = self.network, self.hardware, self.batch * self.prompt_tokens
        work = 2 * n.layers * prompt * n.hidden_size * (2 * n.hidden_size + self.prompt_tokens)
        read = n.parameters_b * 1e9 + (2 * n.layers + 1) * prompt * n.hidden_size
        return max(
            work / (COMPUTE_SHARE * h.flops),
            n.bytes_per_parameter * read / h.bytes_per_second,
        )

    @property
    def tpot_s(self) -> float:
        """One token of a whole batch, prefill apart   [s]."""
        n, h = self.network, self.hardware
        k = REFERENCE_PARAMETERS_B / n.parameters_b
        read = n.parameters_b * 1e9 + 2 * self.batch * n.hidden_size * (self.prompt_tokens + 1)
        step = max(
            2 * self.batch * n.parameters_b * 1e9 / (COMPUTE_SHARE * h.flops),
            2 * read / h.bytes_per_second,
        )
        return float(step / k ** (-1 / (k + 1)))

    @property
    def output_tokens(self) -> float:
        """T − p."""
        return self.tokens - self.prompt_tokens

    @property
    def service_s(self) -> float:
        """A whole request, prefill included   [s]."""
        return self.prefill_s + self.tpot_s * self.output_tokens

    @property
    def token_s(self) -> float:
        """t_one, one token with its share of the prefill   [s]."""
        return self.service_s / self.output_tokens

    def tokens_per_second(self, queue: float) -> float:
        """Speed of each user with Q batches in queue."""
        crowd = log10(min(queue, 1.0) * self.batch + SPEED_OFFSET)
        return self.worth / (max(queue, 1.0) * self.token_s * crowd)

    def wait_s(self, queue: float) -> float:
        """Longest wait for a first token with Q batches in queue   [s]."""
        return self.prefill_s + self.service_s * max(queue - 1, 0.0)

    def largest_queue(self, wish: Wish) -> float:
        """The largest Q that keeps both speed and wait; 0 where none does."""
        if wish.longest_wait_s is None:
            by_wait = inf
        elif self.prefill_s > wish.longest_wait_s:
            return 0.0
        else:
            by_wait = 1 + (wish.longest_wait_s - self.prefill_s) / self.service_s
        return max(0.0, min(by_wait, self._largest_by_speed(wish.tokens_per_second)))

    def users(self, wish: Wish) -> float:
        """Users that the node holds: Q · 2^B ÷ requests per user."""
        return self.largest_queue(wish) * self.batch / wish.requests_per_user

    def _largest_by_speed(self, tokens_per_second: float) -> float:
        full = self.tokens_per_second(1.0)
        if full >= tokens_per_second:
            return full / tokens_per_second
        # Q < 1: log10(Q·2^B + 30) ≤ S' / (target · t_one)
        most = self.worth / (tokens_per_second * self.token_s)
        if most > 300:
            return 1.0
        return (10**most - SPEED_OFFSET) / self.batch


@dataclass(frozen=True)
class Fleet:
    """N equal nodes."""

    node: Node
    nodes: int
    queue: float
    """Q as used: users · requests per user ÷ (N · 2^B)."""

    @property
    def gpus(self) -> int:
        """All GPUs, N · S."""
        return self.nodes * self.node.gpus


def best_node(
    network: Network,
    hardware: Hardware,
    gpus: int,
    tokens: float,
    prompt_tokens: float,
    wish: Wish,
    overhead: float = OVERHEAD,
) -> Node | None:
    """The batch with which `gpus` GPUs hold the most users; the smallest of equals."""
    nodes = list(_nodes(network, hardware, gpus, tokens, prompt_tokens, overhead))
    held = [node for node in nodes if node.users(wish) > 0]
    return max(held, key=lambda node: (node.users(wish), -node.exponent), default=None)


def smallest_fleet(
    network: Network,
    hardware: Hardware,
    users: float,
    tokens: float,
    prompt_tokens: float,
    wish: Wish,
    node_sizes: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
    overhead: float = OVERHEAD,
) -> Fleet | None:
    """The fewest GPUs for so many users; None where no node keeps the wishes.

    Of equal fleets the one with smaller nodes, and then with the smaller queue.
    """
    fleets = [
        _fleet(node, users, wish)
        for gpus in node_sizes
        for node in _nodes(network, hardware, gpus, tokens, prompt_tokens, overhead)
        if node.users(wish) > 0
    ]
    return min(fleets, key=lambda f: (f.gpus, f.node.gpus, f.queue), default=None)


def _nodes(
    network: Network,
    hardware: Hardware,
    gpus: int,
    tokens: float,
    prompt_tokens: float,
    overhead: float,
) -> Iterator[Node]:
    for exponent in range(LARGEST_EXPONENT + 1):
        node = Node(network, hardware, gpus, exponent, tokens, prompt_tokens, overhead)
        if not node.fits:
            return
        yield node


def _fleet(node: Node, users: float, wish: Wish) -> Fleet:
    count = max(1, ceil(users / node.users(wish) * (1 - ALMOST)))
    return Fleet(node, count, users * wish.requests_per_user / (count * node.batch))
