from __future__ import annotations

import json
import math
import struct
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss
from groundup.core.plain import field_names, is_plain, plain
from groundup.core.tensors import tensors_in, with_tensors
from groundup.grader.process.worker import wire
from groundup.grader.process.worker.wire import NotPlainError, ProtocolError


@plain
@dataclass(frozen=True, eq=False)
class Pair:
    left: Any
    right: Any = None


def encoded(value: Any, *, keep_strides: bool = False) -> tuple[bytes, bytearray]:
    """Return header and payload of the frame that holds ``value``."""
    whole = b"".join(bytes(part) for part in wire.encode({"id": 1}, value, keep_strides=keep_strides))
    header, payload = wire.lengths(whole[: wire.HEAD.size])
    assert len(whole) == wire.HEAD.size + header + payload
    return whole[wire.HEAD.size : wire.HEAD.size + header], bytearray(whole[wire.HEAD.size + header :])


def crossed(value: Any, *, from_the_judge: bool = False) -> Any:
    """Return ``value`` after encoding and decoding."""
    meta, out = wire.decode(*encoded(value, keep_strides=from_the_judge), trusted=from_the_judge)
    assert meta == {"id": 1}
    return out


def frame(value: Any, tensors: Any = (), payload: bytes = b"", meta: Any = None) -> tuple[bytes, bytearray]:
    """Return a hand-made frame, as a hostile worker could write it."""
    described = {"meta": {} if meta is None else meta, "value": value, "tensors": tensors}
    return json.dumps(described).encode(), bytearray(payload)


def same(one: Any, other: Any) -> bool:
    """Whether two plain values have the same types and bit-identical content."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        return (one.dtype, one.shape) == (other.dtype, other.shape) and bits(one) == bits(other)
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if is_plain(type(one)):
        return all(same(getattr(one, f), getattr(other, f)) for f in field_names(type(one)))
    return bool(one == other)


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def of_dtype(dtype: torch.dtype, *shape: int) -> Tensor:
    return (torch.arange(math.prod(shape)).reshape(shape) % 2).to(dtype)


# Values that can be sent


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (0,), (2, 3), (2, 0, 3), (1, 1, 1), (2,) * 12], ids=str)
@pytest.mark.parametrize("from_the_judge", [True, False])
def test_tensors_of_every_dtype_and_shape_cross_bit_for_bit(
    dtype: torch.dtype, shape: tuple[int, ...], from_the_judge: bool
) -> None:
    tensor = of_dtype(dtype, *shape)
    assert same(crossed(tensor, from_the_judge=from_the_judge), tensor)


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, (1 << 63) - 1, -(1 << 63), 0.0, -0.0, 1e308, 5e-324, math.inf, -math.inf, math.nan,
        "", "加权 \x00\x1b \ud800", [], (), {}, [[]], ((),), {"": {}}, {"a": [1, (2.0, "x")]}, torch.bfloat16,
        torch.tensor(math.nan), torch.tensor([math.inf, -0.0]), Pair(1), Pair(Pair([torch.ones(2)]), (torch.zeros(1),)),
        Loss(torch.tensor(1.5), {"kl": torch.tensor(2.0)}), [1, True, 1.0, "1"],
    ],
    ids=repr,
)  # fmt: skip
def test_plain_values_cross_with_their_types(value: Any) -> None:
    assert same(crossed(value), value)
    assert same(crossed(value, from_the_judge=True), value)


TENSORS = st.builds(
    lambda dtype, shape, raw: (torch.tensor(raw[: math.prod(shape)]).reshape(shape) * 0.5).to(dtype),
    st.sampled_from(list(wire.DTYPES.values())),
    st.sampled_from([(), (0,), (1,), (3,), (2, 2), (1, 0, 2)]),
    st.lists(st.integers(-8, 8), min_size=4, max_size=4),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), st.floats(), st.text(st.characters(), max_size=8),
    TENSORS, st.sampled_from(list(wire.DTYPES.values())),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_any_plain_value_comes_out_as_it_went_in(value: Any, from_the_judge: bool) -> None:
    assert same(crossed(value, from_the_judge=from_the_judge), value)


@given(VALUES)
def test_tensors_are_listed_in_the_order_in_which_they_are_put_back(value: Any) -> None:
    tensors = tensors_in(value)
    assert same(with_tensors(value, iter(tensors)), value)
    assert same(tensors_in(crossed(value)), tensors)


def test_a_tensor_given_twice_crosses_as_two() -> None:
    tensor = torch.ones(2)
    one, other = crossed([tensor, tensor])
    one[0] = 5
    assert other.tolist() == [1, 1]


def test_what_carries_a_gradient_is_marked() -> None:
    leaf = torch.ones(2, requires_grad=True)
    marks = [t.sent_with_grad for t in crossed([leaf, leaf * 2, leaf.detach(), torch.tensor([1])])]
    assert marks == [True, True, False, False]
    assert not any(t.requires_grad for t in crossed([leaf, leaf * 2]))


def test_conjugate_and_negative_views_cross_as_numbers() -> None:
    z = torch.tensor([1 + 2j, 3 - 4j])
    for view in (z.conj(), z.conj().imag):
        assert view.is_conj() or view.is_neg()
        for from_the_judge in (True, False):
            assert torch.equal(crossed(view, from_the_judge=from_the_judge), view.resolve_conj().resolve_neg())


def test_a_subclass_of_tensor_crosses_as_a_tensor() -> None:
    class Loud(Tensor):
        @classmethod
        def __torch_function__(cls, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("called while crossing")

    loud = torch.ones(2).as_subclass(Loud)
    for tensor in (torch.nn.Parameter(torch.ones(2)), loud):
        assert type(crossed(tensor)) is Tensor
        assert bits(crossed(tensor)) == bits(torch.ones(2))


# Memory layout


def views() -> dict[str, Tensor]:
    x = torch.arange(24.0).reshape(4, 6)
    return {
        "transposed": x.T, "every other column": x[:, ::2], "inner block": x[1:3, 2:5], "one column": x[:, 1],
        "expanded row": x[1:2].expand(3, 6), "expanded scalar": torch.tensor(2.0).expand(2, 3),
        "windows": torch.arange(6.0).unfold(0, 3, 1), "permuted": x.reshape(2, 3, 4).permute(2, 0, 1),
    }  # fmt: skip


@pytest.mark.parametrize("name", views())
def test_the_judges_tensors_keep_their_layout(name: str) -> None:
    view = views()[name]
    there = crossed(view, from_the_judge=True)
    assert (there.stride(), there.shape) == (view.stride(), view.shape)
    assert torch.equal(there, view)


@pytest.mark.parametrize("name", views())
def test_an_answer_arrives_contiguous(name: str) -> None:
    view = views()[name]
    there = crossed(view)
    assert there.is_contiguous()
    assert torch.equal(there, view)


@pytest.mark.parametrize("name", views())
def test_memory_between_the_elements_of_a_view_stays_with_the_judge(name: str) -> None:
    view = views()[name]
    there = crossed(view, from_the_judge=True)
    everything = there.as_strided((there.untyped_storage().nbytes() // 4,), (1,))
    assert set(everything.tolist()) <= {*view.flatten().tolist(), 0.0}


def test_a_single_element_view_of_a_large_tensor_crosses_alone() -> None:
    _, payload = encoded(torch.ones(1000, 1000)[5:6, 7:8], keep_strides=True)
    assert len(payload) == 4


def test_strides_in_an_answer_are_refused() -> None:
    spec = ["float32", [2], [2], False]
    with pytest.raises(ProtocolError, match="strides"):
        wire.decode(*frame(["tensor", 0], [spec], b"\0" * 12))
    _, out = wire.decode(*frame(["tensor", 0], [spec], b"\0" * 12), trusted=True)
    assert out.stride() == (2,)


# Values that cannot be sent


class Text(str):
    pass


class Child(Pair):
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "object"),
        (len, "builtin_function_or_method"),
        ({1: 2}, "keys are not all strings"),
        ({"a": {None: 1}}, "keys are not all strings"),
        ({Text("a"): 1}, "keys are not all strings"),
        ({1}, "set"),
        (Text("a"), "Text"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        (1 << 63, "64 bits"),
        (-(1 << 63) - 1, "64 bits"),
        (torch.Size([1]), "torch.Size"),
        (torch.ones(2).max(0), "torch.return_types.max"),
        (torch.ones(2).numpy(), "numpy.ndarray"),
        (torch.ones(2).numpy()[0], "numpy.float32"),
        (torch.ones(1).to_sparse(), "sparse"),
        (torch.empty(2, device="meta"), "meta"),
        (torch.ones(2, dtype=torch.uint16), "torch.uint16"),
        (torch.uint16, "dtype"),
        (torch.zeros((1,) * 13), "shape"),
        (torch.zeros(0, 1 << 31), "shape"),
        (Child(1), "Child"),
        ("x" * ((1 << 18) + 1), "characters"),
        (["x" * (1 << 18)] * 5, "bytes"),
        ([0] * 20_000, "20000 parts"),
        (torch.zeros(1).expand(1 << 30), "256 MiB"),
        ([torch.zeros(200 << 20, dtype=torch.uint8)] * 2, "256 MiB"),
    ],
    ids=lambda value: value if type(value) is str and len(value) < 40 else type(value).__name__,
)
def test_what_is_not_plain_is_refused_by_name(value: Any, named: str) -> None:
    with pytest.raises(NotPlainError, match=named.replace("(", r"\(")):
        wire.encode({}, value)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_tensors_are_refused() -> None:
    with pytest.raises(NotPlainError, match="qint8"):
        wire.encode({}, torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused() -> None:
    with pytest.raises(NotPlainError, match="nested"):
        wire.encode({}, torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotPlainError, match="16 levels"):
        wire.encode({}, endless)


# Hostile frames


@pytest.mark.parametrize(
    "head",
    [
        b"GU02" + struct.pack("<IQ", 10, 0),
        b"\0" * 16,
        struct.pack("<4sIQ", wire.MAGIC, 0, 0),
        struct.pack("<4sIQ", wire.MAGIC, wire.MAX_HEADER + 1, 0),
        struct.pack("<4sIQ", wire.MAGIC, (1 << 32) - 1, 0),
        struct.pack("<4sIQ", wire.MAGIC, 10, wire.MAX_PAYLOAD + 1),
        struct.pack("<4sIQ", wire.MAGIC, 10, (1 << 64) - 1),
    ],
)
def test_a_head_that_promises_too_much_is_refused_before_anything_is_kept(head: bytes) -> None:
    incoming = wire.Incoming()
    with pytest.raises(ProtocolError):
        incoming.take(head)
    assert len(incoming._received) == wire.HEAD.size


def test_a_frame_may_arrive_byte_by_byte_and_what_follows_it_is_noticed() -> None:
    whole = b"".join(bytes(part) for part in wire.encode({"id": 1}, torch.ones(2)))
    incoming = wire.Incoming()
    for byte in whole:
        assert not incoming.whole
        incoming.take(bytes([byte]))
    assert incoming.whole
    assert wire.decode(*incoming.frame())[0] == {"id": 1}
    assert not incoming.more
    incoming.take(whole + b"G")
    incoming.frame()
    assert incoming.more  # which ends the attempt: see test_attempt


ONE = ["float32", [1], None, False]
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "frame",
    [
        frame(["tensor", 0]),
        frame(["tensor", 0], [ONE]),
        frame(["tensor", 0], [ONE], b"\0" * 3),
        frame(["tensor", 0], [ONE], b"\0" * 5),
        frame(None, [], b"\0"),
        frame(None, [ONE], b"\0" * 4),
        frame(["tensor", 1], [ONE], b"\0" * 4),
        frame(["tensor", -1], [ONE], b"\0" * 4),
        frame(["tensor", 0.5], [ONE], b"\0" * 4),
        frame(["tensor", "0"], [ONE], b"\0" * 4),
        frame(["tensor"], [ONE], b"\0" * 4),
        frame(["tensor", 0, 0], [ONE], b"\0" * 4),
        frame(["list", ["tensor", 0], ["tensor", 0]], [ONE], b"\0" * 4),
        frame(["list", ["tensor", 1], ["tensor", 0]], [ONE, ONE], b"\0" * 8),
        *(
            frame(["tensor", 0], [["float32", shape, None, False]], b"\0" * 4)
            for shape in (
                [-1], [True], [1.0], ["1"], [None], [[1]], 1, None, "1", {"1": 1}, [1] * 13, [1 << 31], [1 << 64],
                [(1 << 31) - 1] * 12, [1 << 16] * 4, [-1, -1], [2],
            )
        ),
        *(
            frame(["tensor", 0], [[dtype, [1], None, False]], b"\0" * 4)
            for dtype in ("float31", "qint8", "uint16", "", None, 1, ["float32"], {"a": 1}, "torch.float32")
        ),
        *(frame(["tensor", 0], [["float32", [1], None, flag]], b"\0" * 4) for flag in (0, 1, None, "yes", [])),
        *(frame(["tensor", 0], [spec], b"\0" * 4) for spec in (None, [], ["float32", [1]], [*ONE, 1], "abcd", {})),
        frame(None, None), frame(None, {}), frame(None, "tensors"), frame(None, [ONE] * 20_001, b"\0" * 80_004),
        frame(None, meta=[]), frame(None, meta="meta"), frame(None, meta=5),
        frame(["unknown"]), frame([]), frame([None]), frame([1, 2]), frame([["list"]]), frame({}), frame({"list": 1}),
        frame(["dict", "ab"]), frame(["dict", ["a"]]), frame(["dict", ["a", 1, 2]]), frame(["dict", [1, 2]]),
        frame(["dict", [None, 2]]), frame(["dict", ["a", 1], ["a", 2]]), frame(["dict", {"a": 1, "b": 2}]),
        frame(["dtype"]), frame(["dtype", "float31"]), frame(["dtype", []]), frame(["dtype", "bool", "bool"]),
        frame(["plain"]), frame(["plain", "os:system", "true"]), frame(["plain", None]), frame(["plain", ["x"]]),
        frame(["plain", f"{__name__}:Pair"]), frame(["plain", f"{__name__}:Pair", 1]),
        frame(["plain", f"{__name__}:Pair", 1, 2, 3]), frame(["plain", f"{__name__}:Child", 1, 2]),
        frame(["plain", "groundup.core.interfaces.rl:Loss", 1]), frame(["plain", "builtins:dict"]),
        frame(1 << 63), frame(-(1 << 63) - 1), frame(10**400), frame(["list", 10**30]),
        frame(["list", *[0] * 20_000]),
        frame(json.loads("[\"list\"," * 20 + "0" + "]" * 20)),
        (b'{"meta": {}, "value": ' + DEEP.encode() + b', "tensors": []}', bytearray()),
        (b'{"meta": ' + DEEP.encode() + b', "value": 1, "tensors": []}', bytearray()),
        (b'{"meta": {}, "value": ' + b"9" * 5000 + b', "tensors": []}', bytearray()),
        (b'{"meta": {}, "value": "\xff", "tensors": []}', bytearray()),
        ('{"meta": {}, "value": "é", "tensors": []}'.encode(), bytearray()),
        ('{"meta": {}, "value": 1, "tensors": []}'.encode("utf-16"), bytearray()),
        (b'\xef\xbb\xbf{"meta": {}, "value": 1, "tensors": []}', bytearray()),
        (b'{"meta": {}, "value": 1}', bytearray()),
        (b'{"value": 1, "tensors": []}', bytearray()),
        (b'{"meta": {}, "tensors": []}', bytearray()),
        (b"[]", bytearray()), (b"null", bytearray()), (b"", bytearray()), (b"{", bytearray()), (b"\0" * 9, bytearray()),
        (b'{"meta": {}, "value": 1, "tensors": []} {}', bytearray()),
    ],
)  # fmt: skip
def test_a_frame_that_breaks_the_format_is_a_protocol_error(frame: tuple[bytes, bytearray]) -> None:
    with pytest.raises(ProtocolError):
        wire.decode(*frame)


def test_a_refused_frame_says_what_is_wrong_in_one_short_line() -> None:
    with pytest.raises(ProtocolError, match="fewer tensor bytes than announced"):
        wire.decode(*frame(["tensor", 0], [ONE], b"\0" * 3))
    for bad in (frame(["unknown"]), frame(["tensor", 0]), frame(["plain", "x" * 1000]), frame(10**400)):
        with pytest.raises(ProtocolError) as raised:
            wire.decode(*bad)
        assert 0 < len(str(raised.value)) < 100
        assert raised.value.__cause__ is None


def test_every_byte_but_0_is_a_true_boolean() -> None:
    _, out = wire.decode(*frame(["tensor", 0], [["bool", [4], None, False]], b"\x00\x01\x02\xff"))
    assert out.view(torch.uint8).tolist() == [0, 1, 1, 1]


def test_of_two_equal_keys_in_a_header_one_counts() -> None:
    header = b'{"meta": {"id": 1}, "value": 1, "value": ["list"], "tensors": [], "meta": {"id": 2}}'
    assert wire.decode(header, bytearray()) == ({"id": 2}, [])


@pytest.mark.parametrize("shape", [[1 << 28, 0], [0, 1 << 14, 1 << 14], [1 << 30, 0, 1 << 30]], ids=str)
def test_an_empty_tensor_that_would_grow_beyond_bounds_is_refused(shape: list[int]) -> None:
    """A sum over its empty axis would have the size of its other axes."""
    with pytest.raises(wire.NotPlainError, match="an empty tensor of shape"):
        encoded(torch.empty(shape))
    with pytest.raises(wire.ProtocolError, match="too large for its bytes"):
        wire.decode(*frame(["tensor", 0], [["float32", shape, None, False]]))
    small = torch.empty([min(size, 64) for size in shape])
    assert crossed(small).shape == small.shape


def test_many_empty_tensors_are_bounded_together() -> None:
    spec, count = ["float32", [1 << 20, 0], None, False], 100
    tree = ["list", *(["tensor", n] for n in range(count))]
    with pytest.raises(wire.ProtocolError, match="too large for its bytes"):
        wire.decode(*frame(tree, [spec] * count))


def test_only_the_judges_frames_can_have_a_module_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with pytest.raises(ProtocolError, match="KeyError"):
        wire.decode(*frame(["plain", "colorsys:Absent"]))
    assert "colorsys" not in sys.modules
    with pytest.raises(ProtocolError, match="KeyError"):
        wire.decode(*frame(["plain", "colorsys:Absent"]), trusted=True)
    assert "colorsys" in sys.modules


def test_a_field_keeps_the_type_that_was_sent_whatever_its_annotation() -> None:
    _, out = wire.decode(*frame(["plain", "groundup.core.interfaces.rl:Loss", "not a tensor", None]))
    assert type(out) is Loss
    assert out.loss == "not a tensor"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["list", "tuple", "dict", "tensor", "dtype", "plain", "float32", f"{__name__}:Pair", 0, 1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=400)
@given(data=st.data(), value=VALUES)
def test_a_mutated_frame_is_refused_or_still_plain(data: st.DataObject, value: Any) -> None:
    header, payload = encoded(value)
    if data.draw(st.booleans(), label="mutate the tree"):
        tree = json.loads(header)
        places = list(_places(tree))
        inside, key = data.draw(st.sampled_from(places))
        inside[key] = data.draw(JSON)
        header = json.dumps(tree).encode()
    else:
        mutable = bytearray(header)
        for _ in range(data.draw(st.integers(0, 4))):
            mutable[data.draw(st.integers(0, len(mutable) - 1))] = data.draw(st.integers(0, 255))
        header = bytes(mutable)
        payload = data.draw(st.sampled_from([payload, payload[:-1], payload + b"\0", bytearray()]))
    try:
        meta, out = wire.decode(header, payload)
    except ProtocolError:
        return
    assert type(meta) is dict
    assert same(crossed(out), out)  # only plain values can be sent


def _places(tree: Any) -> Any:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _places(tree[key])
