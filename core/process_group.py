"""A communicator over a real ``torch.distributed`` process group: gloo between processes, nccl between GPUs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from groundup.core.communicator import Call, Communicator

__all__ = ["ProcessGroupCommunicator"]

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool,
)  # fmt: skip
HEADER = 16  # int64 numbers before each message: dtype, number of dimensions, sizes
SECONDS = 20  # how long a call may wait for the other ranks


class ProcessGroupCommunicator(Communicator):
    """The communicator of this process in the default process group.

    ``events`` is the timeline: (kind, begin, end, bytes) for every call, and ("wait", begin, end, 0) for every time
    that this rank was blocked in one. Times are in seconds of a clock that all processes of a machine share.
    """

    def __init__(self) -> None:
        super().__init__(dist.get_rank(), dist.get_world_size())
        self.events: list[tuple[str, float, float, int]] = []

    @classmethod
    def join(cls, rank: int, size: int, meeting: str, group: int = 0, backend: str = "gloo") -> Self:
        """Make this process rank ``rank`` of a new group whose processes rendezvous through the file ``meeting``.

        Several groups can use the same file one after another, each with its own number ``group``.
        """
        if dist.is_initialized():
            dist.destroy_process_group()
        store = dist.PrefixStore(str(group), dist.FileStore(meeting))  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timedelta(seconds=SECONDS))
        return cls()

    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        begin = time.perf_counter()
        works, result = self._begin(call)
        ended: list[float] = []
        if works and not wait:
            works[-1].get_future().add_done_callback(lambda _: ended.append(time.perf_counter()))

        def finish() -> list[Tensor]:
            waited = time.perf_counter()
            for work in works:
                work.wait()
            tensors = result()
            now = time.perf_counter()
            sent = sum(t.nbytes for t in call.tensors)
            self.events += [(call.kind, begin, ended[0] if ended else now, sent), ("wait", waited, now, 0)]
            return tensors

        return finish

    def _begin(self, call: Call) -> tuple[list[Any], Callable[[], list[Tensor]]]:
        """Begin a call; return the work handles to wait for, and a function that then returns the results."""
        if call.kind in ("send", "recv", "exchange"):
            sent = {} if call.to is None else {call.to: call.tensors[0]}
            return [], lambda: self._messages(sent, [] if call.source is None else [call.source])
        if call.kind == "barrier":
            return [dist.barrier(async_op=True)], list
        if call.kind == "all_to_all":
            return [], lambda: self._all_to_all(call.tensors)
        tensor = call.tensors[0].clone(memory_format=torch.contiguous_format)
        if call.kind == "broadcast":
            return [dist.broadcast(tensor, call.source or 0, async_op=True)], lambda: [tensor]
        if call.kind == "all_reduce":
            return [dist.all_reduce(tensor, async_op=True)], lambda: [tensor]
        if call.kind == "all_gather":
            parts = [torch.empty_like(tensor) for _ in range(self.size)]
            return [dist.all_gather(parts, tensor, async_op=True)], lambda: [torch.cat(parts)]
        if dist.get_backend() == "gloo":  # not every torch version has reduce-scatter for gloo
            return [dist.all_reduce(tensor, async_op=True)], lambda: [tensor.chunk(self.size)[self.rank].clone()]
        chunk = tensor.new_empty((tensor.shape[0] // self.size, *tensor.shape[1:]))
        return [dist.reduce_scatter_tensor(chunk, tensor, async_op=True)], lambda: [chunk]

    def _all_to_all(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        others = [r for r in range(self.size) if r != self.rank]
        received = self._messages({r: tensors[r] for r in others}, others)
        return [*received[: self.rank], tensors[self.rank].clone(), *received[self.rank :]]

    def _messages(self, sent: dict[int, Tensor], sources: Sequence[int]) -> list[Tensor]:
        """Send and receive at the same time: start every send, then receive, then wait for the sends."""
        works = [work for to, tensor in sent.items() for work in self._send(tensor, to)]
        received = [self._recv(source) for source in sources]
        for work in works:
            work.wait()
        return received

    def _send(self, tensor: Tensor, to: int) -> list[Any]:
        header = [DTYPES.index(tensor.dtype), tensor.dim(), *tensor.shape]
        head = torch.tensor(header + [0] * (HEADER - len(header)), device=tensor.device)
        data = tensor.clone(memory_format=torch.contiguous_format)
        return [dist.isend(head, to), *([dist.isend(data, to)] if data.numel() else [])]

    def _recv(self, source: int) -> Tensor:
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        head = torch.empty(HEADER, dtype=torch.int64, device=device)
        dist.recv(head, source)
        dtype, dimensions, *sizes = head.tolist()
        tensor = torch.empty(sizes[:dimensions], dtype=DTYPES[dtype], device=device)
        if tensor.numel():
            dist.recv(tensor, source)
        return tensor
