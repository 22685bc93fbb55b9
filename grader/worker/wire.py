"""Frames between judge and worker: a fixed head, a JSON header, raw tensor bytes. Never pickle.

``head``    4 bytes magic, header length (uint32), payload length (uint64), little endian
``header``  {"meta": {...}, "value": tagged tree, "tensors": [[dtype, shape, strides or null, requires_grad], ...]}
``payload`` the tensors' bytes, one after another

The judge reads every frame as if an enemy had written it: sizes are bounded before anything is allocated, only exact
plain types come out, and whatever is off raises :class:`ProtocolError`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from groundup.core.plain import field_names, is_plain, plain_name, plain_type

HEAD = struct.Struct("<4sIQ")
MAGIC = b"GU01"
MAX_HEADER = 1 << 20
MAX_PAYLOAD = 256 << 20
MAX_NODES = 20_000
MAX_DEPTH = 16
MAX_TEXT = 1 << 18
MAX_DIMENSIONS = 12

DTYPES: dict[str, torch.dtype] = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,
        torch.complex64, torch.complex128, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip


class ProtocolError(Exception):
    """A frame that breaks the format, or asks for more than it allows."""


class NotPlainError(TypeError):
    """A value that is not plain data, so that it cannot cross."""


def encode(meta: dict[str, Any], value: Any, *, keep_strides: bool = False) -> list[Any]:
    """Return the frame's parts, bytes-like. ``keep_strides`` sends the memory layout of tensors along.

    Raises NotPlainError for a value that cannot cross, or that is too large to.
    """
    writer = _Writer(keep_strides)
    tree = writer.write(value, 0)
    header = json.dumps({"meta": meta, "value": tree, "tensors": writer.specs}).encode()
    if len(header) > MAX_HEADER:
        raise NotPlainError(f"the value is too long: {len(header)} bytes of description, at most {MAX_HEADER}")
    return [HEAD.pack(MAGIC, len(header), writer.size), header, *writer.chunks]


def lengths(head: bytes | bytearray) -> tuple[int, int]:
    """Return the lengths of header and payload. Raises ProtocolError before anything of that size is allocated."""
    magic, header, payload = HEAD.unpack(head)
    if magic != MAGIC:
        raise ProtocolError("an answer that is not a frame")
    if not 0 < header <= MAX_HEADER or payload > MAX_PAYLOAD:
        raise ProtocolError(f"a frame of {header} + {payload} bytes, at most {MAX_HEADER} + {MAX_PAYLOAD}")
    return header, payload


def decode(header: bytes | bytearray, payload: bytearray, *, trusted: bool = False) -> tuple[dict[str, Any], Any]:
    """Return meta and value of a frame. ``trusted`` frames (the judge's) may carry strides and name types to import.

    Raises ProtocolError for anything else than what :func:`encode` writes.
    """
    try:
        frame = json.loads(header)
        meta, tree, specs = frame["meta"], frame["value"], frame["tensors"]
        if type(meta) is not dict or type(specs) is not list or len(specs) > MAX_NODES:
            raise ProtocolError("a header of the wrong form")
        reader = _Reader(list(_tensors(specs, payload, trusted)), trusted)
        return meta, reader.read(tree, 0)
    except ProtocolError:
        raise
    except Exception as error:  # RecursionError, KeyError, ValueError ...: all are the sender's doing
        raise ProtocolError(f"an undecodable frame ({type(error).__name__})") from None


class _Writer:
    def __init__(self, keep_strides: bool) -> None:
        self.keep_strides = keep_strides
        self.specs: list[list[Any]] = []
        self.chunks: list[Any] = []
        self.size = self.nodes = 0

    def write(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise NotPlainError(f"the value has more than {MAX_DEPTH} levels or {MAX_NODES} parts")
        kind = type(value)
        if value is None or kind in (bool, float):
            return value
        if kind is int:
            if not -(1 << 63) <= value < 1 << 63:
                raise NotPlainError("an integer beyond 64 bits")
            return value
        if kind is str:
            if len(value) > MAX_TEXT:
                raise NotPlainError(f"a text of {len(value)} characters, at most {MAX_TEXT}")
            return value
        if isinstance(value, Tensor):
            return self.write_tensor(value)
        if kind in (list, tuple):
            return ["list" if kind is list else "tuple", *(self.write(v, depth + 1) for v in value)]
        if kind is dict:
            if not all(type(k) is str for k in value):
                raise NotPlainError("a dict whose keys are not all strings")
            return ["dict", *([k, self.write(v, depth + 1)] for k, v in value.items())]
        if kind is torch.dtype:
            return ["dtype", str(value).removeprefix("torch.")]
        if is_plain(kind):
            return ["plain", plain_name(kind), *(self.write(getattr(value, f), depth + 1) for f in field_names(kind))]
        raise NotPlainError(f"a value of type {kind.__qualname__}"[:200])

    def write_tensor(self, tensor: Tensor) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            tensor_, needs_grad = tensor.detach().as_subclass(Tensor), bool(tensor.requires_grad)
            name = str(tensor_.dtype).removeprefix("torch.")
            if tensor_.layout is not torch.strided or tensor_.is_meta or name not in DTYPES:
                raise NotPlainError(f"a tensor of layout {tensor_.layout} and dtype {tensor_.dtype}")
            flat = tensor_.resolve_conj().resolve_neg().cpu()
            strides = None
            if self.keep_strides and flat.numel() and not flat.is_contiguous():
                strides = list(flat.stride())
                flat = flat.as_strided((_extent(flat.shape, strides),), (1,))
            # A single element counts as contiguous whatever its strides are; only a copy has them plain.
            data = flat.clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
            self.size += data.numel()
            if self.size > MAX_PAYLOAD:
                raise NotPlainError(f"more than {MAX_PAYLOAD >> 20} MiB of tensors")
            self.specs.append([name, list(tensor_.shape), strides, needs_grad])
            if data.numel():
                self.chunks.append(memoryview(data.numpy().data))
        return ["tensor", len(self.specs) - 1]


class _Reader:
    def __init__(self, tensors: list[Tensor], trusted: bool) -> None:
        self.tensors, self.trusted = tensors, trusted
        self.used: set[int] = set()
        self.nodes = 0

    def read(self, tree: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ProtocolError("a value too deep or too long")
        if tree is None or type(tree) in (bool, int, float, str):
            return tree
        tag, *rest = tree
        if tag == "list":
            return [self.read(v, depth + 1) for v in rest]
        if tag == "tuple":
            return tuple(self.read(v, depth + 1) for v in rest)
        if tag == "dict" and all(type(pair[0]) is str for pair in rest):
            return {key: self.read(v, depth + 1) for key, v in rest}
        if tag == "dtype":
            return DTYPES[rest[0]]
        if tag == "plain":
            cls = plain_type(rest[0], imports=self.trusted)
            return cls(*(self.read(v, depth + 1) for v in rest[1:]))
        if tag == "tensor" and type(rest[0]) is int and 0 <= rest[0] < len(self.tensors) and rest[0] not in self.used:
            self.used.add(rest[0])
            return self.tensors[rest[0]]
        raise ProtocolError("a tag that does not exist")


def _tensors(specs: list[Any], payload: bytearray, trusted: bool) -> Iterator[Tensor]:
    offset = 0
    for name, shape, strides, needs_grad in specs:
        dtype = DTYPES[name]
        if type(shape) is not list or len(shape) > MAX_DIMENSIONS or not all(_is_size(s) for s in shape):
            raise ProtocolError("a shape of the wrong form")
        if strides is not None and not trusted:
            raise ProtocolError("strides in an answer")
        count = _extent(shape, strides)
        size = count * dtype.itemsize
        if offset + size > len(payload):
            raise ProtocolError("fewer tensor bytes than announced")
        if count:
            flat = torch.frombuffer(payload, dtype=torch.uint8, count=size, offset=offset).clone().view(dtype)
            if dtype is torch.bool:
                flat = flat.view(torch.uint8).ne(0)  # a byte other than 0 and 1 is no bool: undefined in kernels
        else:
            flat = torch.empty(0, dtype=dtype)
        tensor = flat.reshape(shape) if strides is None else flat.as_strided(shape, strides)
        tensor.sent_with_grad = needs_grad is True  # type: ignore[attr-defined]
        yield tensor
        offset += size
    if offset != len(payload):
        raise ProtocolError("more tensor bytes than announced")


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 <= size < 1 << 31


def _extent(shape: Sequence[int], strides: list[int] | None) -> int:
    """How many elements of memory a tensor of that shape and those strides spans."""
    count = math.prod(shape)
    if strides is None or count == 0:
        return count
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors of a plain value, in the order in which a frame lists them."""
    if isinstance(value, Tensor):
        return [value]
    return [t for part in _parts(value) for t in tensors_in(part)]


def with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """Return ``value`` with its tensors replaced, in the same order."""
    if isinstance(value, Tensor):
        return next(tensors)
    kind = type(value)
    if kind is dict:
        return {k: with_tensors(v, tensors) for k, v in value.items()}
    if kind in (list, tuple):
        return kind(with_tensors(v, tensors) for v in value)
    if is_plain(kind):
        return kind(*(with_tensors(part, tensors) for part in _parts(value)))
    return value


def _parts(value: Any) -> list[Any]:
    kind = type(value)
    if kind is dict:
        return list(value.values())
    if kind in (list, tuple):
        return list(value)
    return [getattr(value, f) for f in field_names(kind)] if is_plain(kind) else []
