"""Frames between judge and worker: a fixed head, a JSON header, raw tensor bytes. Never pickle.

``head``    4 bytes magic, header length (uint32), payload length (uint64), little endian
``header``  {"meta": {...}, "value": tagged tree, "tensors": [[dtype, shape, strides or null, requires_grad], ...]}
``payload`` the tensors' bytes, one after another

The judge treats every frame as hostile: sizes are checked before anything is allocated, only exact plain types are
accepted, and anything invalid raises :class:`ProtocolError`.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from groundup.core.parts import Part, declared_part
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
NAMES = {dtype: name for name, dtype in DTYPES.items()}
NO_NUMPY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)


class ProtocolError(Exception):
    """A frame that violates the format or exceeds its limits."""


class NotPlainError(TypeError):
    """A value that cannot be sent. The message names the part of it that is not plain data, or is too large."""


def encode(
    meta: dict[str, Any], value: Any, *, keep_strides: bool = False, number: Callable[[Part], int] | None = None
) -> list[bytes]:
    """Return the frame's parts. ``keep_strides`` includes the memory layout of tensors.

    ``number`` returns the number of a part that the judge owns; without it, parts cannot be sent.
    Raises NotPlainError for a value that cannot be sent or is too large.
    """
    writer = _Writer(keep_strides, number)
    tree = writer.write(value, 0)
    header = json.dumps({"meta": meta, "value": tree, "tensors": writer.specs}).encode()
    if len(header) > MAX_HEADER:
        raise NotPlainError(f"a description of {len(header)} bytes, more than {MAX_HEADER}")
    return [HEAD.pack(MAGIC, len(header), writer.size), header, *writer.chunks]


def lengths(head: bytes | bytearray) -> tuple[int, int]:
    """Return the lengths of header and payload. Raises ProtocolError before anything of that size is allocated."""
    magic, header, payload = HEAD.unpack(head)
    if magic != MAGIC:
        raise ProtocolError("an answer that is not a frame")
    if not 0 < header <= MAX_HEADER or payload > MAX_PAYLOAD:
        raise ProtocolError(f"a frame of {header} + {payload} bytes, at most {MAX_HEADER} + {MAX_PAYLOAD}")
    return header, payload


def decode(
    header: bytes | bytearray,
    payload: bytearray,
    *,
    trusted: bool = False,
    part: Callable[[int, type[Part]], Part] | None = None,
) -> tuple[dict[str, Any], Any]:
    """Return meta and value of a frame. ``trusted`` frames (the judge's) may carry strides and name types to import.

    ``part`` makes the proxy of a part that the judge owns, from the part's number and the class that declares it.

    Raises ProtocolError for anything that :func:`encode` does not write.
    """
    try:
        frame = json.loads(str(header, "ascii"))
        meta, tree, specs = frame["meta"], frame["value"], frame["tensors"]
        if type(meta) is not dict or type(specs) is not list or len(specs) > MAX_NODES:
            raise ProtocolError("a header of the wrong form")
        reader = _Reader(list(_tensors(specs, payload, trusted)), trusted, part)
        value = reader.read(tree, 0)
        if reader.used != len(specs):
            raise ProtocolError("a tensor that is no part of the value")
        return meta, value
    except ProtocolError:
        raise
    except Exception as error:  # RecursionError, KeyError, ValueError ...: all caused by the sender
        raise ProtocolError(f"an undecodable frame ({type(error).__name__})") from None


class Incoming:
    """Assembles received frames; a frame's lengths are checked before anything beyond its head is stored."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._header = self._whole = 0

    @property
    def whole(self) -> bool:
        """Whether a complete frame was received."""
        return 0 < self._whole <= len(self._received)

    @property
    def more(self) -> bool:
        """Whether there are received bytes that no frame was made of yet."""
        return bool(self._received)

    def take(self, received: bytes) -> None:
        """Store received bytes. Raises ProtocolError."""
        self._received += received
        self._measure()

    def frame(self) -> tuple[bytearray, bytearray]:
        """Return header and payload of the complete frame. Raises ProtocolError if the next head is invalid."""
        header_end = HEAD.size + self._header
        header, payload = self._received[HEAD.size : header_end], self._received[header_end : self._whole]
        del self._received[: self._whole]
        self._whole = 0
        self._measure()
        return header, payload

    def _measure(self) -> None:
        if not self._whole and len(self._received) >= HEAD.size:
            self._header, payload = lengths(self._received[: HEAD.size])
            self._whole = HEAD.size + self._header + payload


class _Writer:
    def __init__(self, keep_strides: bool, number: Callable[[Part], int] | None) -> None:
        self.keep_strides, self.number = keep_strides, number
        self.specs: list[list[Any]] = []
        self.chunks: list[bytes] = []
        self.size = self.grown = self.nodes = 0

    def write(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise NotPlainError(f"more than {MAX_DEPTH} levels or {MAX_NODES} parts")
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            if not -(1 << 63) <= value < 1 << 63:
                raise NotPlainError("an integer beyond 64 bits")
            return value
        if kind is str:
            if len(value) > MAX_TEXT:
                raise NotPlainError(f"a text of {len(value)} characters, more than {MAX_TEXT}")
            return value
        if isinstance(value, Tensor):
            return self.write_tensor(value)
        if kind is list or kind is tuple:
            return ["list" if kind is list else "tuple", *[self.write(v, depth + 1) for v in value]]
        if kind is dict:
            if not all(type(k) is str for k in value):
                raise NotPlainError("a dict whose keys are not all strings")
            return ["dict", *[[k, self.write(v, depth + 1)] for k, v in value.items()]]
        if kind is torch.dtype and value in NAMES:
            return ["dtype", NAMES[value]]
        if is_plain(kind):
            return ["plain", plain_name(kind), *[self.write(getattr(value, f), depth + 1) for f in field_names(kind)]]
        if self.number is not None and isinstance(value, Part):
            declared = declared_part(kind)
            return ["part", self.number(value), f"{declared.__module__}:{declared.__qualname__}"]
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        raise NotPlainError(f"a value of type {module}{kind.__qualname__}"[:200])

    def write_tensor(self, tensor: Tensor) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            dtype = tensor.dtype
            if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_nested or dtype not in NAMES:
                kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
                raise NotPlainError(f"a {kind} tensor of {dtype} on {tensor.device}")
            flat = tensor.detach()
            if type(flat) is not Tensor:
                flat = flat.as_subclass(Tensor)
            if not flat.is_cpu or flat.is_conj() or flat.is_neg():
                flat = flat.resolve_conj().resolve_neg().cpu()
            shape, strides = list(flat.shape), None
            if len(shape) > MAX_DIMENSIONS or not all(map(_is_size, shape)):
                raise NotPlainError(f"a tensor of shape {shape}"[:200])
            self.grown += _grown(shape) * dtype.itemsize
            if self.grown > MAX_PAYLOAD and 0 in shape:
                raise NotPlainError(f"an empty tensor of shape {shape}"[:200])
            if self.keep_strides and not flat.is_contiguous() and flat.numel():
                strides = list(flat.stride())
            extent = _extent(shape, strides)
            self.size += extent * dtype.itemsize
            if self.size > MAX_PAYLOAD:
                raise NotPlainError(f"more than {MAX_PAYLOAD >> 20} MiB of tensors")
            self.specs.append([NAMES[dtype], shape, strides, bool(tensor.requires_grad)])
            if extent:
                self.chunks.append(_bytes(flat if strides is None else _spread(flat, strides, extent)))
        return ["tensor", len(self.specs) - 1]


class _Reader:
    def __init__(self, tensors: list[Tensor], trusted: bool, part: Callable[[int, type[Part]], Part] | None) -> None:
        self.tensors, self.trusted, self.part = tensors, trusted, part
        self.used = self.nodes = 0

    def read(self, tree: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise ProtocolError("a value too deep or too long")
        kind = type(tree)
        if tree is None or kind is bool or kind is float or kind is str:
            return tree
        if kind is int and -(1 << 63) <= tree < 1 << 63:
            return tree
        if kind is not list:
            raise ProtocolError("a value of the wrong form")
        tag, rest = tree[0], tree[1:]
        if tag == "tensor" and rest == [self.used]:  # each tensor exactly once, in the order of the header's list
            self.used += 1
            return self.tensors[self.used - 1]
        if tag == "list":
            return [self.read(v, depth + 1) for v in rest]
        if tag == "tuple":
            return tuple([self.read(v, depth + 1) for v in rest])
        if tag == "dict":
            return self.read_dict(rest, depth)
        if tag == "dtype" and len(rest) == 1:
            return DTYPES[rest[0]]
        if tag == "plain":
            cls = plain_type(rest[0], imports=self.trusted)
            if len(rest) - 1 != len(field_names(cls)):
                raise ProtocolError(f"{len(rest) - 1} fields of {cls.__qualname__}, which has {len(field_names(cls))}")
            return cls(*[self.read(v, depth + 1) for v in rest[1:]])
        if tag == "part" and self.part is not None and self.trusted:
            number, name = rest
            return self.part(number, _named(name))
        raise ProtocolError("a tag that does not exist")

    def read_dict(self, pairs: list[Any], depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for pair in pairs:
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or pair[0] in value:
                raise ProtocolError("a dict whose keys are not all different strings")
            value[pair[0]] = self.read(pair[1], depth + 1)
        return value


def _named(name: str) -> Any:
    """Return the class with the name ``module:Class``."""
    module, _, qualified = name.partition(":")
    return functools.reduce(getattr, qualified.split("."), importlib.import_module(module))


def _tensors(specs: list[Any], payload: bytearray, trusted: bool) -> Iterator[Tensor]:
    offset = grown = 0
    for name, shape, strides, needs_grad in specs:
        dtype = DTYPES[name]
        if type(shape) is not list or len(shape) > MAX_DIMENSIONS or not all(map(_is_size, shape)):
            raise ProtocolError("a shape of the wrong form")
        grown += _grown(shape) * dtype.itemsize
        if grown > MAX_PAYLOAD and not trusted:
            raise ProtocolError(f"a tensor of shape {shape}, too large for its bytes")
        if (strides is not None and not trusted) or type(needs_grad) is not bool:
            raise ProtocolError("strides in an answer" if strides is not None else "a flag that is no boolean")
        count = _extent(shape, strides)
        size = count * dtype.itemsize
        if offset + size > len(payload):
            raise ProtocolError("fewer tensor bytes than announced")
        if count:
            flat = torch.frombuffer(payload, dtype=torch.uint8, count=size, offset=offset)
            # A bool byte other than 0 or 1 is undefined behaviour in kernels.
            flat = flat.ne(0) if dtype is torch.bool else flat.clone().view(dtype)
        else:
            flat = torch.empty(0, dtype=dtype)
        tensor = flat.view(shape) if strides is None else flat.as_strided(shape, strides)
        tensor.sent_with_grad = needs_grad  # type: ignore[attr-defined]
        yield tensor
        offset += size
    if offset != len(payload):
        raise ProtocolError("more tensor bytes than announced")


def _grown(shape: Sequence[int]) -> int:
    """Return how many elements a tensor of that shape can grow to: summing an empty one over an axis makes new ones.

    Code that reads the tensor could allocate that many.
    """
    return math.prod(size for size in shape if size)


def _is_size(size: Any) -> bool:
    return type(size) is int and 0 <= size < 1 << 31


def _extent(shape: Sequence[int], strides: list[int] | None) -> int:
    """Return how many elements of memory a tensor of that shape and those strides spans."""
    count = math.prod(shape)
    if strides is None or count == 0:
        return count
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))


def _spread(tensor: Tensor, strides: list[int], extent: int) -> Tensor:
    """Return the memory that ``tensor`` spans, with zeros between its elements, so that no other data is sent."""
    memory = torch.zeros(extent, dtype=tensor.dtype)
    there = memory.as_strided(tensor.shape, strides)
    if 0 in strides:
        once = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in strides)
        there, tensor = there[once], tensor[once]
    there.copy_(tensor)
    return memory


def _bytes(tensor: Tensor) -> bytes:
    """Return a tensor's elements in row-major order as bytes."""
    if tensor.dtype not in NO_NUMPY:
        return tensor.numpy().tobytes()
    # A one-element tensor counts as contiguous whatever its strides; a copy has normal strides.
    plain = tensor.clone(memory_format=torch.contiguous_format)
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()
