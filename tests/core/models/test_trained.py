from __future__ import annotations

import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from groundup.core.models import (
    Base,
    Brackets,
    Decoder,
    Sorting,
    Tokenizer,
    accuracy_of,
    base,
    kept,
    pairs,
    preferences,
    thumbs,
    trained,
)

TASK, WORDS = Brackets(2), Tokenizer()
TINY = Decoder(Tokenizer().vocab_size, hidden_size=16, num_layers=1, num_heads=2, num_kv_heads=1, intermediate_size=32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own, and nothing in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kept, "_IN_MEMORY", {})
    monkeypatch.setattr(trained, "Tokenizer", lambda: WORDS)  # the same object, so that `really` knows its settings
    monkeypatch.setattr(trained, "_trained", really)
    return tmp_path / "groundup" / "models"


class Forgetful(dict[str, bytes]):
    """A memory that keeps nothing."""

    def __setitem__(self, key: str, value: bytes) -> None: ...


really = functools.cache(trained._trained)


def learnt(**options: Any) -> Base:
    """Return the tiny base. Here equal settings are trained once for all tests."""
    return base(TASK, **{"accuracy": 0.4, "model": TINY, **options})


def forget(monkeypatch: pytest.MonkeyPatch, *, refuse: bool = False) -> None:
    """Empty the memory, as a new process has it; with ``refuse``, training fails."""
    monkeypatch.setattr(kept, "_IN_MEMORY", {})
    if refuse:
        monkeypatch.setattr(trained, "_trained", lambda *_: pytest.fail("it is trained again"))


def same(one: Base, other: Base) -> bool:
    return all(torch.equal(value, other.params[name]) for name, value in one.params.items())


def test_it_learns_the_task_as_well_as_was_asked(folder: Path) -> None:
    found = learnt()
    generator = torch.Generator().manual_seed(99)
    fresh = accuracy_of(TINY, found.params, found.tokenizer, TASK, generator=generator, count=4000)
    untrained = accuracy_of(TINY, TINY.init(0), found.tokenizer, TASK, generator=generator, count=4000)
    assert 0.4 <= found.accuracy <= 0.75
    assert abs(fresh - found.accuracy) < 0.1
    assert untrained < 0.05
    greedy = accuracy_of(TINY, found.params, found.tokenizer, TASK, generator=generator, temperature=0)
    assert greedy > fresh
    assert found.steps % 10 == 0


def test_it_is_trained_once_and_then_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = learnt()
    (file,) = folder.iterdir()
    forget(monkeypatch, refuse=True)
    again = learnt()
    assert same(first, again)
    assert (again.accuracy, again.steps) == (first.accuracy, first.steps)
    again.params["lm_head.weight"].zero_()
    file.unlink()
    assert same(first, learnt())  # from memory, whatever was done to what it gave before


def test_settings_and_code_name_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def noted(*settings: object) -> kept.Kept:
        calls.append(settings)
        return {}, {"accuracy": 1.0, "steps": 1.0}

    monkeypatch.setattr(trained, "_trained", noted)
    changes: list[dict[str, Any]] = [
        {}, {"seed": 1}, {"accuracy": 0.5}, {"model": dataclasses.replace(TINY, rope_theta=50.0)},
    ]  # fmt: skip
    for change in [*changes, *changes]:
        learnt(**change)
    assert len(calls) == len(changes)
    base(Brackets(3), accuracy=0.4, model=TINY)
    monkeypatch.setattr(torch, "__version__", "0.0")
    learnt()
    assert len(calls) == len(changes) + 2
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"edited")
    learnt()
    assert len(calls) == len(changes) + 3


def test_a_file_that_was_damaged_is_made_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = learnt()
    (file,) = folder.iterdir()
    sound = file.read_bytes()
    flipped = bytearray(sound)
    flipped[-1] ^= 1
    renamed = sound.replace(b'"steps"', b'"stops"', 1)
    for damaged in (b"", sound[:-4], bytes(flipped), renamed, b"\x80\x04pickle", sound[5:], sound + b"0000"):
        file.write_bytes(damaged)
        forget(monkeypatch)
        assert same(first, learnt())
        assert file.read_bytes() == sound
    assert list(folder.iterdir()) == [file]


def test_it_works_where_nothing_can_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("no folder")
    for place in (str(blocked), "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        forget(monkeypatch)
        found = learnt()
        assert found.accuracy >= 0.4
        assert same(found, learnt())
    assert blocked.read_text() == "no folder"


def test_readers_beside_writers_see_whole_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"weight": torch.arange(200_000, dtype=torch.float32)}
    monkeypatch.setattr(kept, "_IN_MEMORY", Forgetful())
    kept.write("key", params, {"n": 0.0})
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(kept.write, "key", params, {"n": float(n)}) for n in range(1, 20)]
        found = [kept.read("key")]
        while not all(writer.done() for writer in writers):
            found.append(kept.read("key"))
    for each in found:
        assert each is not None
        assert torch.equal(each[0]["weight"], params["weight"])
    assert [path.name for path in folder.iterdir()] == ["key.params"]


def test_a_task_that_is_not_learnt_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "LONGEST", 10)
    with pytest.raises(RuntimeError, match="not learnt to 90% in 10 steps"):
        base(Sorting(), accuracy=0.9, model=TINY)
    assert not folder.exists()


def test_pairs_are_a_right_and_a_wrong_answer_to_the_same_prompt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = learnt()
    found = pairs(start, TASK, 300, generator=torch.Generator().manual_seed(1))
    chosen, rejected = found.chosen.texts(start.tokenizer), found.rejected.texts(start.tokenizer)
    assert len(chosen) == len(rejected) == 300
    assert [prompt for prompt, _ in chosen] == [prompt for prompt, _ in rejected]
    assert all(TASK.is_right(*each) for each in chosen)
    assert not any(TASK.is_right(*each) for each in rejected)
    again = pairs(start, TASK, 300, generator=torch.Generator().manual_seed(1))
    assert torch.equal(found.rejected.answer, again.rejected.answer)
    assert found.rows(torch.tensor([5])).chosen.texts(start.tokenizer) == [chosen[5]]
    monkeypatch.setattr(preferences, "ROUNDS", 2)
    perfect = dataclasses.replace(start, params=dict(start.params, **{"lm_head.weight": torch.zeros(38, 16)}))
    with pytest.raises(RuntimeError, match="right and a wrong"):
        pairs(perfect, Sorting(9, 9), 300, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("share", [None, 0.1, 0.75])
def test_thumbs_are_the_verifiers(folder: Path, share: float | None) -> None:
    start = learnt()
    found = thumbs(start, TASK, 200, generator=torch.Generator().manual_seed(2), share=share)
    marks = [TASK.is_right(*each) for each in found.answers.texts(start.tokenizer)]
    assert found.desirable.tolist() == marks
    assert len(marks) == 200
    assert sum(marks) == round(share * 200) if share else 40 < sum(marks) < 180
