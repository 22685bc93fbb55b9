"""Serving one trace of requests in the same memory, in blocks and in reserved pieces; then sharing prompts and beams.

The trace is drawn, not recorded: prompts and answers have log-normal lengths with the means that Kwon et al. 2023 give
in figure 11. No model runs. Token p of a sequence has p as its key and -p as its value, so that reads can be checked.
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
POOL = 15_700  # tokens: what OPT-13B leaves room for on an A100 of 40 GB (table 1)
LONGEST = 2048  # tokens of prompt and answer together, the most that OPT takes
SHAREGPT, ALPACA = (161.31, 337.99), (19.31, 58.45)  # mean tokens of prompt and answer (figure 11)
SPREAD = 1.0  # of the logarithm of a length; the paper gives no number
REQUESTS, QUICK_REQUESTS = 96, 12
SAMPLED, QUICK_SAMPLED = 12, 2  # requests of each kind of sharing
WIDTHS = (2, 4, 6)  # samples of a request, or beams
SNAPSHOT = 150  # the step at which the memory is drawn


@dataclass
class Request:
    """Tokens to prefill, and tokens still to write. Who is put out of memory comes back with a longer prompt."""

    prompt: int
    answer: int


@dataclass
class Served:
    """Sums over the decoding steps of one way to lay out the memory."""

    steps: int = 0
    used: int = 0
    reserved: int = 0
    running: int = 0

    def step(self, used: int, reserved: int, running: int) -> None:
        """Add one step: what the tokens fill, what is kept for them, how many requests are in memory."""
        self.steps += 1
        self.used += used
        self.reserved += reserved
        self.running += running

    @property
    def waste(self) -> float:
        """In per cent of what was reserved."""
        return 100 * (1 - self.used / self.reserved)

    @property
    def together(self) -> float:
        """How many requests were decoded together, on average."""
        return self.running / self.steps


def run(bench: Bench) -> Outcome:
    """Serve the trace in both layouts, then measure what sharing saves."""
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
    """Draw the tokens of prompts and answers: log-normal with these means, none above half of the longest text."""
    centre = torch.tensor(means).log() - SPREAD**2 / 2
    drawn = (centre + SPREAD * torch.randn(count, 2, generator=chance)).exp().round().clamp(1, LONGEST // 2)
    return [(int(prompt), int(answer)) for prompt, answer in drawn.tolist()]


def serve_in_pieces(bench: Bench, trace: list[tuple[int, int]]) -> Served:
    """Count what an engine wastes that sets ``LONGEST`` places aside for each request. It needs no cache to count."""
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
    """Serve the trace first come, first served. Without a free block the youngest request is freed, to begin anew.

    Return the sums, and whether all that was read was right.
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
    """Return a new cache of the pool's size: one layer with one head of size 1, for only counts matter."""
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
    """Append tokens ``start`` and on; return whether there was room for them."""
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
    """Whether the sequence holds ``count`` tokens, each at its place."""
    key, value = cache.read(number, 0)
    return torch.equal(key, positions(0, count)) and torch.equal(value, -positions(0, count))


# Sharing


def saved(bench: Bench, chance: torch.Generator, requests: list[tuple[int, int]], width: int, decode: Any) -> float:
    """Return how many of the blocks that tables list are saved because several list the same, in per cent.

    Summed over all steps of all requests, each of which is decoded alone.
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
    """Let each of the samples write on by itself."""
    for position in range(prompt, prompt + answer):
        for sample in range(width):
            written(cache, sample, position, 1)
        yield


def beam_search(cache: Any, chance: torch.Generator, prompt: int, answer: int, width: int) -> Iterator[None]:
    """Keep the ``width`` best of all continuations; what a token is worth is drawn, for no model runs.

    Each beam offers its ``width`` best tokens. A beam's first continuation goes on in its sequence, others fork it; a
    beam that has none is freed.
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


# The map of the memory


def slot_places(slots: list[Request | None]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of what lies in each slot, and of the rest, which is too small for one more."""
    for number, request in enumerate(slots):
        start, filled = number * LONGEST, request.prompt if request else 0
        yield start, start + filled, "tokens"
        yield start + filled, start + LONGEST, "reserved, empty" if request else "free"
    yield len(slots) * LONGEST, POOL, "free"


def block_places(cache: Any, held: dict[int, int]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of what lies in each block, from the tables of the sequences that are ``held``."""
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
    """Draw what lies in the memory, neighbours of one kind as one bar."""
    bars: list[tuple[int, int, str]] = []
    for start, end, kind in places:
        if bars and bars[-1][1:] == (start, kind):
            bars[-1] = (bars[-1][0], end, kind)
        elif end > start:
            bars.append((start, end, kind))
    for start, end, kind in bars:
        bench.bar(row, start, end, kind)


def draw_shared(bench: Bench, trace: list[tuple[int, int]]) -> None:
    """Fill the pool with requests of four samples each, every one half way through its answer."""
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
