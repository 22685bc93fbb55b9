"""Each law of sums over ranks holds for the ring and for another kind of algorithm; a known mistake breaks each law."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import Phase, settings
from torch import Tensor

from groundup.core.communicator import Communicator
from groundup.core.interfaces.collective import Collective
from groundup.core.registry import Registry
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import collective as laws
from groundup.core.testing.ranks import LocalRanks
from groundup.core.testing.switch import Transfer
from groundup.grader.judging.edits import load_edits
from groundup.solutions.parallelism.ring_all_reduce import RingAllReduce

LAWS: dict[str, Law[laws.Setting]] = {name: law for name, law in vars(laws).items() if isinstance(law, Law)}
BROKEN_BY = {
    "test_reduce_scatter_leaves_row_r_of_the_sum_on_rank_r": "passes-on-without-adding",
    "test_all_gather_puts_the_chunk_of_rank_r_into_row_r": "rows-in-order-of-arrival",
    "test_all_reduce_gives_every_rank_the_sum": "never-gathers",
    "test_any_number_of_elements_is_right": "scalar-comes-back-as-a-list",
    "test_what_one_rank_brings_arrives_everywhere_once": "gathers-what-was-not-reduced",
    "test_integers_stay_integers": "sums-in-float64-on-the-wire",
    "test_every_rank_holds_the_same_bits": "everything-to-everyone",
    "test_the_sum_knows_no_order_and_scales": "adds-the-row-it-sent",
    "test_a_rank_alone_sends_nothing": "own-row-left-out",
    "test_equals_the_reference": "padding-in-front",
}


def tried(name: str, setting: laws.Setting, implementation: type[Any], reference: type[Any]) -> None:
    """Run one law on an implementation; raises if it does not hold."""
    made: Any = settings(max_examples=25, deadline=None, database=None, phases=[Phase.generate])(LAWS[name](setting))
    compared = {"reference": LocalRanks(reference)} if name == "test_equals_the_reference" else {}
    made(impl=LocalRanks(implementation), **compared)


def mistaken(mistake: str) -> type[Any]:
    technique = Registry().technique("ring-all-reduce")
    edit = next(edit for edit in load_edits(technique) if edit.id == mistake)
    module: dict[str, Any] = {"__name__": "edited"}
    exec(edit.apply(technique.files.solution.read_text(encoding="utf-8")), module)
    found: type[Any] = module["RingAllReduce"]
    return found


class ByNodes(Collective):
    """A two-level sum: within each node of ``local_size`` ranks, then over the nodes' first ranks; then sent back."""

    def __init__(self, comm: Communicator, local_size: int) -> None:
        super().__init__(comm)
        self.local_size = local_size
        self.leader = comm.rank - comm.rank % local_size

    def all_reduce(self, tensor: Tensor) -> Tensor:
        rank, size = self.comm.rank, self.comm.size
        if rank != self.leader:
            self.comm.send(tensor, to=self.leader)
            return self.comm.recv(source=self.leader)
        local = range(rank + 1, min(rank + self.local_size, size))
        leaders = range(self.local_size, size, self.local_size)
        total = self.added(tensor.clone(), local)
        if rank == 0:
            total = self.added(total, leaders)
            self.told(total, leaders)
        else:
            self.comm.send(total, to=0)
            total = self.comm.recv(source=0)
        self.told(total, local)
        return total

    def added(self, total: Tensor, sources: range) -> Tensor:
        for source in sources:
            total = total + self.comm.recv(source=source)
        return total

    def told(self, total: Tensor, ranks: range) -> None:
        for rank in ranks:
            self.comm.send(total, to=rank)

    def reduce_scatter(self, chunks: Tensor) -> Tensor:
        return self.all_reduce(chunks)[self.comm.rank].clone()

    def all_gather(self, chunk: Tensor) -> Tensor:
        rows = torch.zeros((self.comm.size, *chunk.shape), dtype=chunk.dtype)
        rows[self.comm.rank] = chunk
        return self.all_reduce(rows)


NODES = laws.Setting(sizes=(2, 4, 6), small=(2, 4), options=lambda size: {"local_size": 2})


@pytest.mark.parametrize("name", LAWS)
def test_it_holds_of_the_ring_and_of_a_hierarchy(name: str) -> None:
    tried(name, laws.Setting(), RingAllReduce, RingAllReduce)
    tried(name, NODES, ByNodes, ByNodes)


@pytest.mark.parametrize("name", LAWS)
def test_a_mistake_breaks_it(name: str) -> None:
    with pytest.raises(AssertionError):
        tried(name, laws.Setting(), mistaken(BROKEN_BY[name]), RingAllReduce)


def test_to_the_diagnosis_a_message_is_the_same_in_any_shape() -> None:
    def sent(*shape: int) -> str:
        tensor = torch.ones(shape)
        transfer = Transfer(0, "exchange", 1, tensor.nbytes or 8 * tensor.dim(), (shape,), (tensor.dtype,))
        return str(laws.canonical([("group.exchange", ["message", 0, (transfer,), None]), ("sent", [transfer])]))

    assert sent(2, 5) == sent(10)
    assert sent() == sent(1)
    assert sent(2, 0) == sent(0)
    assert sent(2, 5) != sent(5)
