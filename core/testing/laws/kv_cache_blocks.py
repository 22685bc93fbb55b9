"""The model of a paged key/value cache: lists of token numbers, and block tables with symbolic block names.

A cache is free to choose which block it allocates: tables are compared by which entries are the same block, never by
block ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from groundup.core.messages import Message
from groundup.core.testing.calls import each
from groundup.core.testing.compare import EXACT, Tolerance, assert_equal
from groundup.core.testing.laws.kv_cache_model import Watched

__all__ = ["Blocks", "Told", "canonical"]


def canonical(trace: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return a trace of answers with blocks renumbered in the order in which block tables first list them.

    The diagnosis compares these between an attempt and known mistakes, which may allocate other blocks, and may reuse
    freed blocks in another order: so the numbering restarts whenever a sequence is freed.
    """
    names: dict[int, int] = {}
    told: list[tuple[str, Any]] = []
    for method, answer in trace:
        if method == "free" or (method == "" and answer == "constructed"):
            names = {}
        if method == "block_table" and isinstance(answer, list):
            answer = [names.setdefault(block, len(names)) for block in answer]
        elif method == "ref_counts" and isinstance(answer, list) and all(block < len(answer) for block in names):
            others = sorted(count for block, count in enumerate(answer) if block not in names)
            answer = [*(answer[block] for block in names), *others]
        told.append((method, answer))
    return told


class Blocks(Watched):
    """The model of a paged cache. It knows which entries of the block tables are the same block.

    Its shape has ``block_size`` and ``num_blocks`` in addition to the layers and the dtype.
    """

    def __init__(self, impl: Any, shape: Any, tolerance: Tolerance = EXACT) -> None:
        super().__init__(impl, shape, tolerance)
        self.named = 0
        self.block_tables: dict[int, list[int]] = {}
        self.known: dict[int, int] = {}  # a block's name in the model -> its id in the cache, once a table showed it

    @property
    def free_blocks(self) -> int:
        """The number of blocks that no table lists."""
        return int(self.shape.num_blocks) - len(self.ref_count())

    def ref_count(self) -> Counter[int]:
        """Return the number of tables that list each block in use."""
        return Counter(block for table in self.block_tables.values() for block in table)

    def name(self) -> int:
        """Return a name for a newly allocated block."""
        self.named += 1
        return self.named

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        """Open ``sequence`` with an empty table."""
        super().begin(sequence, *prompt)
        self.block_tables[sequence] = []

    def appended_to(self, sequence: int, layer: int, numbers: list[int]) -> None:
        """Record an append in the block table and in the contents."""
        ref_count, table = self.ref_count(), self.block_tables[sequence]
        for position in range(len(self.held[sequence][layer]), len(self.held[sequence][layer]) + len(numbers)):
            entry = position // self.shape.block_size
            if entry == len(table):
                table.append(self.name())
            elif ref_count[table[entry]] > 1:
                table[entry] = self.name()
        super().appended_to(sequence, layer, numbers)

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` with its own table, which lists the parent's blocks."""
        super().fork(parent, child)
        self.block_tables[child] = list(self.block_tables[parent])

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        """Close ``sequence`` and delete its table."""
        super().free(sequence, *ids)
        del self.block_tables[sequence]

    def fits(self, sequence: int, layer: int, count: int) -> bool:
        """Count the blocks that an append allocates, token by token, and compare with the free blocks."""
        ref_count, table, held = self.ref_count(), self.block_tables[sequence], len(self.held[sequence][layer])
        touched = {position // self.shape.block_size for position in range(held, held + count)}
        taken = sum(entry >= len(table) or ref_count[table[entry]] > 1 for entry in touched)
        return bool(taken <= self.free_blocks)

    def usage(self) -> dict[str, int]:
        """Count token by token in a set: a token in a shared block is counted once."""
        filled = {
            (self.block_tables[sequence][position // self.shape.block_size], position % self.shape.block_size, layer)
            for sequence, held in self.held.items()
            for layer in self.layers
            for position in range(len(held[layer]))
        }
        block = self.shape.block_size * sum(self.token_bytes)
        return {
            "used": sum(self.token_bytes[layer] for _, _, layer in filled),
            "reserved": len(self.ref_count()) * block,
            "total": self.shape.num_blocks * block,
        }

    def check_everything(self) -> None:
        """Check all contents, the usage, the block tables and the reference counts."""
        super().check_everything()
        self.check_now()

    def told(self) -> dict[str, Any]:
        """Return everything that the cache reports now, including the block tables and reference counts."""
        tables = {f"block_table({sequence})": table for sequence, table in self.tell().theirs.items()}
        return super().told() | tables | {"ref_counts()": list(self.cache.ref_counts())}

    def check_now(self) -> None:
        """Check the current block tables and reference counts."""
        self.check_tables(self.tell())

    def tell(self) -> Told:
        """Read all block tables and the reference counts, and return them with the model's tables."""
        tables = each(self.cache.block_table, [(sequence,) for sequence in self.block_tables])
        theirs = {sequence: list(table) for sequence, table in zip(self.block_tables, tables, strict=True)}
        return Told({s: list(table) for s, table in self.block_tables.items()}, theirs, list(self.cache.ref_counts()))

    def check_tables(self, told: Told) -> None:
        """Check that the right entries share a block, that blocks keep their ids, and the reference counts."""
        ours, theirs, ref_counts = told
        assert_equal(renamed(theirs), renamed(ours), what=Message("the tables, blocks numbered as they first appear"))
        ref_count = Counter(block for table in ours.values() for block in table)
        self.known = {block: number for block, number in self.known.items() if block in ref_count}
        for sequence, table in ours.items():
            kept = [self.known.setdefault(b, n) for b, n in zip(table, theirs[sequence], strict=True)]
            assert_equal(
                theirs[sequence],
                kept,
                what=Message("block_table({sequence}), whose blocks stay where they are", sequence=sequence),
            )
        numbered = {number: ref_count[block] for block, number in self.known.items()}
        counted = [numbered.get(number, 0) for number in range(self.shape.num_blocks)]
        assert_equal(ref_counts, counted, what=Message("ref_counts(), one number for each block"))


class Told(NamedTuple):
    """The model's block tables (``ours``), and the cache's tables (``theirs``) and reference counts."""

    ours: dict[int, list[int]]
    theirs: dict[int, list[int]]
    ref_counts: list[int]


def renamed(tables: dict[int, list[int]]) -> list[list[int]]:
    """Return the tables with blocks numbered 0, 1, 2 ... as they first appear."""
    names: dict[int, int] = {}
    return [[names.setdefault(block, len(names)) for block in table] for table in tables.values()]
