"""Serves one trace of requests in the same memory with blocks and with reserved slots; then measures sharing.

The trace is drawn, not recorded: prompts and answers have log-normal lengths with the means in figure 11 of Kwon et al.
2023. No model runs. The token at position p has key p and value -p, so that reads can be checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.errors import AttemptRaised
from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.lab import Bench, Outcome

BLOCK_SIZE = 16  # vLLM's default
POOL = 15_700  # tokens: the room beside OPT-13B on an A100 with 40 GB (table 1)
LONGEST = 2048  # tokens of prompt and answer together, the most that OPT takes
SHAREGPT, ALPACA = (161.31, 337.99), (19.31, 58.45)  # mean tokens of prompt and answer (figure 11)
SPREAD = 1.0  # of the logarithm of a length; the paper gives no number
REQUESTS, QUICK_REQUESTS = 96, 12
SAMPLED, QUICK_SAMPLED = 12, 2  # requests of each kind of sharing
WIDTHS = (2, 4, 6)  # samples or beams per request
SNAPSHOT = 150  # the step at which the memory is drawn


@dataclass
class Request:
    """Tokens to prefill, and tokens still to generate. A preempted request comes back with a longer prompt."""

    prompt: int
    answer: int


@dataclass
class Served:
    """Sums over all decoding steps with one memory layout."""

    steps: int = 0
    used: int = 0
    reserved: int = 0
    running: int = 0

    def step(self, used: int, reserved: int, running: int) -> None:
        """Add one step: tokens used, tokens reserved, and requests in memory."""
        self.steps += 1
        self.used += used
        self.reserved += reserved
        self.running += running

    @property
    def waste(self) -> float:
        """The reserved but unused memory, in per cent of the reserved memory."""
        return 100 * (1 - self.used / self.reserved)

    @property
    def together(self) -> float:
        """The mean number of requests decoded together."""
        return self.running / self.steps


def run(bench: Bench) -> Outcome:
    """Serve the trace with both layouts, then measure the memory saved by sharing."""
    chance = torch.Generator().manual_seed(bench.seed)
    trace = lengths(chance, SHAREGPT, QUICK_REQUESTS if bench.quick else REQUESTS)
    pieces = serve_in_pieces(bench, trace)
    blocks, whole = serve_in_blocks(bench, trace)
    draw_shared(bench, trace)
    sampling, beams = {}, {}
    few = lengths(chance, ALPACA, QUICK_SAMPLED if bench.quick else SAMPLED)
    for number, width in enumerate(WIDTHS):
        sampling[width] = saved(bench, chance, few, width, parallel_sampling)
        beams[width] = saved(bench, chance, few, width, beam_search)
        bench.progress(0.7 + 0.1 * (number + 1))
    fewest, most = WIDTHS[0], WIDTHS[-1]
    return Outcome(
        figures=(
            bench.figure("waste_in_blocks", blocks.waste),
            bench.figure("waste_reserved", pieces.waste),
            bench.figure("together_in_blocks", blocks.together),
            bench.figure("together_reserved", pieces.together),
            bench.figure("saved_by_few_samples", sampling[fewest], width=fewest),
            bench.figure("saved_by_many_samples", sampling[most], width=most),
            bench.figure("saved_by_few_beams", beams[fewest], width=fewest),
            bench.figure("saved_by_many_beams", beams[most], width=most),
        ),
        mark=bench.mark(blocks.waste < 4 and pieces.waste > 60 and whole),
    )


# Serving


def lengths(chance: torch.Generator, means: tuple[float, float], count: int) -> list[tuple[int, int]]:
    """Draw the lengths of prompts and answers: log-normal with these means, at most half of ``LONGEST`` each."""
    centre = torch.tensor(means).log() - SPREAD**2 / 2
    drawn = (centre + SPREAD * torch.randn(count, 2, generator=chance)).exp().round().clamp(1, LONGEST // 2)
    return [(int(prompt), int(answer)) for prompt, answer in drawn.tolist()]


def serve_in_pieces(bench: Bench, trace: list[tuple[int, int]]) -> Served:
    """Count the waste of an engine that reserves ``LONGEST`` tokens for each request. This needs no real cache."""
    waiting = deque(Request(*lengths) for lengths in trace)
    slots: list[Request | None] = [None] * (POOL // LONGEST)
    served = Served()
    while waiting or any(slots):
        slots = [request or (waiting.popleft() if waiting else None) for request in slots]
        running = [request for request in slots if request]
        for request in running:
            request.prompt, request.answer = request.prompt + 1, request.answer - 1
        served.step(sum(r.prompt for r in running), LONGEST * len(running), len(running))
        if served.steps % 16 == 0:
            bench.point("reserved to the maximum", served.steps, 100 * served.used / served.reserved)
        if served.steps == SNAPSHOT:
            draw(bench, "reserved to the maximum", slot_places(slots))
        slots = [request if request and request.answer else None for request in slots]
    return served


def serve_in_blocks(bench: Bench, trace: list[tuple[int, int]]) -> tuple[Served, bool]:
    """Serve the trace first come, first served. If no block is free, the youngest request is preempted and restarted.

    Return the sums, and whether all reads were right.
    """
    cache = pool(bench)
    waiting = deque(enumerate(Request(*lengths) for lengths in trace))
    running: dict[int, Request] = {}
    served, whole, done = Served(), True, 0
    while waiting or running:
        while waiting and admitted(cache, *waiting[0]):
            number, request = waiting.popleft()
            running[number] = request
        for number, request in list(running.items()):
            while number in running and not written(cache, number, request.prompt, 1):
                youngest = max(running)
                cache.free(youngest)
                waiting.appendleft((youngest, running.pop(youngest)))
            if number in running:
                request.prompt, request.answer = request.prompt + 1, request.answer - 1
        usage = cache.usage()
        served.step(usage["used"], usage["reserved"], len(running))
        if served.steps % 16 == 0:
            bench.point("in blocks", served.steps, 100 * served.used / served.reserved)
        if served.steps == SNAPSHOT:
            draw(bench, "in blocks", block_places(cache, {n: r.prompt for n, r in running.items()}))
        for number in [n for n, r in running.items() if not r.answer]:
            whole &= reads_back(cache, number, running.pop(number).prompt)
            cache.free(number)
            done += 1
            bench.progress(0.7 * done / len(trace))
    return served, whole


def pool(bench: Bench) -> Any:
    """Return a new cache of the pool's size, with one layer of one head of size 1, since only counts matter."""
    impl = bench.impl("inference/paged-attention")
    return impl(layers=[(1, 1)], block_size=BLOCK_SIZE, num_blocks=POOL // BLOCK_SIZE, dtype=torch.float32)


def admitted(cache: Any, number: int, request: Request) -> bool:
    """Open the sequence and prefill its prompt, if there is room."""
    cache.begin(number)
    if written(cache, number, 0, request.prompt):
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


def saved(bench: Bench, chance: torch.Generator, requests: list[tuple[int, int]], width: int, decode: Any) -> float:
    """Return the share of table entries saved by sharing blocks, in per cent.

    Summed over all steps of all requests; each request is decoded alone.
    """
    listed = held = 0
    for prompt, answer in requests:
        cache = pool(bench)
        cache.begin(0)
        written(cache, 0, 0, prompt)
        for child in range(1, width):
            cache.fork(0, child)
        for _ in decode(cache, chance, prompt, answer, width):
            ref_counts = cache.ref_counts()
            listed += sum(ref_counts)
            held += sum(count > 0 for count in ref_counts)
    return 100 * (1 - held / listed)


def parallel_sampling(cache: Any, _: torch.Generator, prompt: int, answer: int, width: int) -> Iterator[None]:
    """Let each sample generate independently."""
    for position in range(prompt, prompt + answer):
        for sample in range(width):
            written(cache, sample, position, 1)
        yield


def beam_search(cache: Any, chance: torch.Generator, prompt: int, answer: int, width: int) -> Iterator[None]:
    """Keep the ``width`` best of all continuations. Token scores are drawn, since no model runs.

    Each beam offers its ``width`` best tokens. A beam's first continuation stays in its sequence, further ones fork it;
    a beam without continuation is freed.
    """
    beams, score, unused = list(range(width)), torch.zeros(width, 1), width
    for position in range(prompt, prompt + answer):
        offered = score + torch.empty(width, width).exponential_(generator=chance).neg_()
        score, best = offered.flatten().topk(width)
        score, parents = score[:, None], [beams[index] for index in (best // width).tolist()]
        for beam in set(beams) - set(parents):
            cache.free(beam)
        beams = []
        for parent in parents:
            if parent in beams:
                cache.fork(parent, unused)
                parent, unused = unused, unused + 1
            beams.append(parent)
        for beam in beams:
            written(cache, beam, position, 1)
        yield


# The memory map


def slot_places(slots: list[Request | None]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each region of the slots, and of the rest, which is too small for another slot."""
    for number, request in enumerate(slots):
        start, filled = number * LONGEST, request.prompt if request else 0
        yield start, start + filled, "tokens"
        yield start + filled, start + LONGEST, "reserved, empty" if request else "free"
    yield len(slots) * LONGEST, POOL, "free"


def block_places(cache: Any, held: dict[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each region of the blocks, from the tables of the sequences in ``held``."""
    ref_counts = cache.ref_counts()
    filled = {
        block: min(tokens - entry * BLOCK_SIZE, BLOCK_SIZE)
        for number, tokens in held.items()
        for entry, block in enumerate(cache.block_table(number))
    }
    for block, ref_count in enumerate(ref_counts):
        start, count = block * BLOCK_SIZE, filled.get(block, 0)
        yield start, start + count, "tokens, shared" if ref_count > 1 else "tokens"
        yield start + count, start + BLOCK_SIZE, "reserved, empty" if ref_count else "free"


def draw(bench: Bench, row: str, places: Iterator[tuple[int, int, str]]) -> None:
    """Draw the memory map; adjacent regions of the same kind become one bar."""
    bars: list[tuple[int, int, str]] = []
    for start, end, kind in places:
        if bars and bars[-1][1:] == (start, kind):
            bars[-1] = (bars[-1][0], end, kind)
        elif end > start:
            bars.append((start, end, kind))
    for start, end, kind in bars:
        bench.bar(row, start, end, kind)


def draw_shared(bench: Bench, trace: list[tuple[int, int]]) -> None:
    """Fill the pool with requests of four samples each, with half of each answer generated, and draw it."""
    cache = pool(bench)
    held: dict[int, int] = {}
    for number, (prompt, answer) in enumerate(trace):
        first = 4 * number
        if not admitted(cache, first, Request(prompt, answer)):
            break
        held[first] = prompt
        for sample in range(first + 1, first + 4):
            cache.fork(first, sample)
            held[sample] = prompt
        for sample in range(first, first + 4):
            if written(cache, sample, prompt, answer // 2):
                held[sample] = prompt + answer // 2
    draw(bench, "in blocks, 4 samples", block_places(cache, held))
