"""Serves one drawn trace of requests from a memory in blocks, and measures what part of the memory stays empty.

No model runs. The token at position p has key p and value -p, so that what is read back can be checked. Everything is
measured from the cache's own answers: ``usage`` and ``block_table``.

The trace is drawn, not recorded: prompts and answers have log-normal lengths, at most 1,024 tokens each, and their
centres are chosen so that the means are those in figure 11 of Kwon et al. 2023. The spread is a guess.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.errors import AttemptRaised
from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.lab import Bench, Outcome

BLOCK_SIZE = 16  # vLLM's default in the paper
POOL = 15_700  # tokens: the room beside OPT-13B on an A100 with 40 GB (table 1)
LONGEST = 2048  # tokens of prompt and answer together, the most that OPT takes
CONVERSATIONS, INSTRUCTIONS = (161.31, 337.99), (19.31, 58.45)  # mean tokens of prompt and answer (figure 11)
SPREAD = 1.0  # standard deviation of a length's logarithm; the paper gives none
REQUESTS, QUICK_REQUESTS = 128, 64
ROUND = 8  # tokens that each running request decodes between two looks at the scheduler: fewer calls, the same lengths
SHARED, QUICK_SHARED = 24, 4  # requests for which sharing is measured
WIDTHS = (2, 6)  # samples a request
SMALLEST, LARGEST = 1, 128  # other block sizes
SNAPSHOT = 30  # the round at which the memory is drawn
WASTE, TIMES = 4, 3  # the mark: per cent of waste, and how many times the requests that reservations allow
TOKEN_BYTES = 8  # one layer, one head of size 1, float32: a key and a value


@dataclass
class Request:
    """Tokens in the cache or to prefill, and tokens still to generate. A preempted one has a longer prompt."""

    prompt: int
    answer: int


@dataclass
class Served:
    """Sums over all decoding rounds in which requests were waiting, so that memory was what limited them."""

    rounds: int = 0
    used: int = 0
    reserved: int = 0
    running: int = 0

    @property
    def waste(self) -> float:
        """The reserved memory without tokens, in per cent of the reserved memory."""
        return 100 * (1 - self.used / max(self.reserved, 1))

    @property
    def together(self) -> float:
        """The mean number of requests decoded together."""
        return self.running / max(self.rounds, 1)

    @property
    def tokens(self) -> float:
        """The mean number of tokens that a running request has in the cache."""
        return self.used / TOKEN_BYTES / max(self.running, 1)


def run(bench: Bench) -> Outcome:
    """Serve the trace, fill the memory with other block sizes, and measure what sharing saves."""
    chance = torch.Generator().manual_seed(bench.seed)
    trace = lengths(chance, CONVERSATIONS, QUICK_REQUESTS if bench.quick else REQUESTS)
    impl = bench.impl("inference/paged-attention")
    served, whole = serve(bench, pool(impl), trace)
    few = lengths(chance, INSTRUCTIONS, QUICK_SHARED if bench.quick else SHARED)
    saved = {width: saved_by_sharing(pool(impl), few, width) for width in WIDTHS}
    bench.progress(0.9)
    waste = {size: waste_when_full(pool(impl, size), chance, trace) for size in (SMALLEST, LARGEST)}
    draw_shared(bench, pool(impl), trace)
    half, reservations = (BLOCK_SIZE - 1) / 2, POOL // LONGEST
    return Outcome(
        figures=(
            bench.figure(
                "waste", served.waste, half=half, tokens=served.tokens, expected=100 * half / (served.tokens + half)
            ),
            bench.figure("together", served.together),
            bench.figure("reservations", reservations, pool=POOL, longest=LONGEST),
            bench.figure("waste_smallest", waste[SMALLEST]),
            bench.figure("waste_largest", waste[LARGEST], size=LARGEST),
            bench.figure("saved_by_few", saved[WIDTHS[0]], width=WIDTHS[0]),
            bench.figure("saved_by_many", saved[WIDTHS[-1]], width=WIDTHS[-1]),
        ),
        mark=bench.mark(
            served.waste < WASTE and served.together >= TIMES * reservations and whole,
            waste=WASTE,
            times=TIMES,
            reservations=reservations,
        ),
    )


# The trace


def lengths(chance: torch.Generator, means: tuple[float, float], count: int) -> list[tuple[int, int]]:
    """Draw the lengths of prompts and answers, from 1 to half of ``LONGEST`` tokens each, with these means.

    One from each of ``count`` equally likely ranges, in random order: the means then hold for few requests too.
    """
    centre = torch.tensor([centre_of(mean) for mean in means], dtype=torch.float64)
    order = torch.stack([torch.randperm(count, generator=chance) for _ in means], dim=1)
    within = torch.rand(count, len(means), generator=chance, dtype=torch.float64)
    drawn = tokens_of(centre + SPREAD * torch.special.ndtri((order + within) / count))
    return [(int(prompt), int(answer)) for prompt, answer in drawn.tolist()]


def tokens_of(logarithm: Tensor) -> Tensor:
    """Return whole numbers of tokens. The bounds change the mean: that is why ``centre_of`` has to search."""
    return logarithm.exp().round().clamp(1, LONGEST // 2)


def centre_of(mean: float) -> float:
    """Return the centre of the logarithm for which the mean length, bounds included, is ``mean``; by bisection."""
    normal = torch.special.ndtri((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000)
    low, high = 0.0, math.log(LONGEST)
    for _ in range(40):
        middle = (low + high) / 2
        if float(tokens_of(middle + SPREAD * normal).mean()) < mean:
            low = middle
        else:
            high = middle
    return low


# Serving


def serve(bench: Bench, cache: Any, trace: list[tuple[int, int]]) -> tuple[Served, bool]:
    """Serve the trace first come, first served. If no block is free, the youngest request is preempted and restarted.

    Return the sums, and whether everything that was read back was right.
    """
    waiting = deque(enumerate(Request(*lengths) for lengths in trace))
    running: dict[int, Request] = {}
    served, whole, rounds = Served(), True, 0
    while waiting or running:
        while waiting and admitted(cache, waiting[0][0], waiting[0][1].prompt):
            number, request = waiting.popleft()
            running[number] = request
        for number, request in list(running.items()):
            tokens = min(ROUND, request.answer)
            while number in running and not written(cache, number, request.prompt, tokens):
                youngest = max(running)
                cache.free(youngest)
                waiting.appendleft((youngest, running.pop(youngest)))
            if number in running:
                request.prompt, request.answer = request.prompt + tokens, request.answer - tokens
        rounds += 1
        usage = cache.usage()
        if waiting:
            served = Served(
                served.rounds + 1, served.used + usage["used"], served.reserved + usage["reserved"],
                served.running + len(running),
            )  # fmt: skip
            bench.point("requests decoded together", rounds * ROUND, len(running))
        if rounds == SNAPSHOT:
            draw(bench, "one request each", places(cache, {n: r.prompt for n, r in running.items()}))
        for number in [n for n, r in running.items() if not r.answer]:
            whole &= reads_back(cache, number, running.pop(number).prompt)
            cache.free(number)
        bench.progress(0.8 * (1 - (len(waiting) + len(running)) / len(trace)))
    return served, whole


def waste_when_full(cache: Any, chance: torch.Generator, trace: list[tuple[int, int]]) -> float:
    """Fill the memory with requests that have generated some part of their answers; return the waste in per cent."""
    for number, (prompt, answer) in enumerate(trace):
        part = int(float(torch.rand((), generator=chance)) * answer)
        if not admitted(cache, number, prompt + part):
            break
    usage = cache.usage()
    return 100 * (1 - float(usage["used"]) / max(float(usage["reserved"]), 1.0))


def pool(impl: Any, block_size: int = BLOCK_SIZE) -> Any:
    """Return a new cache of the pool's size, with one layer of one head of size 1, since only counts matter."""
    return impl(layers=[(1, 1)], block_size=block_size, num_blocks=POOL // block_size, dtype=torch.float32)


def admitted(cache: Any, number: int, tokens: int) -> bool:
    """Open the sequence and prefill it, if there is room."""
    cache.begin(number)
    if written(cache, number, 0, tokens):
        return True
    cache.free(number)
    return False


def written(cache: Any, number: int, start: int, count: int) -> bool:
    """Append ``count`` tokens from position ``start``; return whether there was room for them."""
    token = positions(start, count)
    try:
        cache.append(number, 0, token, -token)
    except CacheFullError:
        return False
    except AttemptRaised as raised:
        if "CacheFullError" not in raised.types:
            raise
        return False
    return True


def positions(start: int, count: int) -> Tensor:
    """Return the keys of ``count`` tokens from position ``start`` on, (1, T, 1)."""
    return torch.arange(start, start + count, dtype=torch.float32).reshape(1, count, 1)


def reads_back(cache: Any, number: int, count: int) -> bool:
    """Whether the sequence holds exactly ``count`` tokens, each at its position."""
    key, value = cache.read(number, 0)
    return torch.equal(key, positions(0, count)) and torch.equal(value, -positions(0, count))


# Sharing


def saved_by_sharing(cache: Any, requests: list[tuple[int, int]], width: int) -> float:
    """Return the share of blocks that ``width`` samples of each prompt save by sharing, in per cent.

    It is the blocks saved over the blocks without sharing, summed over all rounds of all requests, as the paper defines
    it. Only blocks that hold tokens count.
    """
    alone = together = 0
    for prompt, answer in requests:
        cache.begin(0)
        written(cache, 0, 0, prompt)
        for sample in range(1, width):
            cache.fork(0, sample)
        for start in range(0, answer, ROUND):
            stop = min(start + ROUND, answer)
            for sample in range(width):
                written(cache, sample, prompt + start, stop - start)
            filled = math.ceil((prompt + stop) / BLOCK_SIZE)
            alone += width * filled
            together += len({block for sample in range(width) for block in cache.block_table(sample)[:filled]})
        for sample in range(width):
            cache.free(sample)
    return 100 * (1 - together / alone)


# The memory map


def places(cache: Any, held: dict[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each region of the memory, from the tables of the sequences in ``held``."""
    ref_counts = cache.ref_counts()
    filled = {
        block: min(tokens - entry * BLOCK_SIZE, BLOCK_SIZE)
        for number, tokens in held.items()
        for entry, block in enumerate(cache.block_table(number)[: math.ceil(tokens / BLOCK_SIZE)])
    }
    for block, ref_count in enumerate(ref_counts):
        start, count = block * BLOCK_SIZE, filled.get(block, 0)
        yield start, start + count, "tokens, shared" if ref_count > 1 else "tokens"
        yield start + count, start + BLOCK_SIZE, "reserved, empty" if ref_count else "free"


def draw(bench: Bench, row: str, regions: Iterator[tuple[int, int, str]]) -> None:
    """Draw a row of the memory map; adjacent regions of the same kind become one bar."""
    bars: list[tuple[int, int, str]] = []
    for start, end, kind in regions:
        if bars and bars[-1][1:] == (start, kind):
            bars[-1] = (bars[-1][0], end, kind)
        elif end > start:
            bars.append((start, end, kind))
    for start, end, kind in bars:
        bench.bar(row, start, end, kind)


def draw_shared(bench: Bench, cache: Any, trace: list[tuple[int, int]]) -> None:
    """Fill the memory with requests of four samples each, half of each answer generated, and draw it."""
    held: dict[int, int] = {}
    for number, (prompt, answer) in enumerate(trace):
        first = 4 * number
        if not admitted(cache, first, prompt):
            break
        held[first] = prompt
        for sample in range(first + 1, first + 4):
            cache.fork(first, sample)
            held[sample] = prompt
        for sample in range(first, first + 4):
            if written(cache, sample, prompt, answer // 2):
                held[sample] = prompt + answer // 2
    draw(bench, "four samples each", places(cache, held))
