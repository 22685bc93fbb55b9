from __future__ import annotations

import pytest
import torch

from groundup.core.models import Addition, Brackets, Reversing, Sorting, Task, Tokenizer

TASKS: list[Task] = [Addition(), Addition(1), Reversing(), Reversing(5, 2), Sorting(8), Brackets(), Brackets(1)]


def prompts(task: Task, count: int = 300, seed: int = 0) -> list[str]:
    return task.draw(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_prompts_are_drawn_by_the_seed_and_its_own_answers_are_right(task: Task) -> None:
    assert prompts(task) == prompts(task)
    assert prompts(task) != prompts(task, seed=1)
    for prompt in prompts(task):
        answer = task.answer(prompt)
        assert task.is_right(prompt, answer)
        assert len(answer) <= task.longest
        assert Tokenizer().decode(Tokenizer().encode(prompt + answer)) == prompt + answer
        for wrong in (None, "", answer[:-1], answer + "7", prompt):
            assert not task.is_right(prompt, wrong), wrong
    assert any(len(task.answer(prompt)) == task.longest for prompt in prompts(task))


def test_answers_are_those_of_python() -> None:
    assert Addition().answer("47+08=") == "55"
    assert Addition().answer("00+00=") == "0"
    assert Addition().answer("99+99=") == "198"
    assert Reversing().answer("abcdef<") == "fedcba"
    assert Sorting().answer("jabba^") == "aabbj"
    assert Brackets().answer("([{~") == "}])"
    for prompt in prompts(Addition()):
        assert int(Addition().answer(prompt)) == eval(prompt[:-1].lstrip("0").replace("+0", "+") or "0")


def test_lengths_vary_where_they_may() -> None:
    assert {len(prompt) for prompt in prompts(Reversing(5, 2))} == {3, 4, 5, 6}
    assert {len(prompt) for prompt in prompts(Sorting())} == {7}


def test_brackets_are_right_in_every_way_that_balances() -> None:
    task = Brackets()
    assert task.is_right("([{~", "}(){}])[]")
    for wrong in ("])}", "}]", "}])(", "}]))", "}])~", "}])a"):
        assert not task.is_right("([{~", wrong), wrong
    for prompt in prompts(task):
        text = prompt.removesuffix("~")
        assert len(text) == 6
        done = text + task.answer(prompt)
        for _ in range(6):
            done = done.replace("()", "").replace("[]", "").replace("{}", "")
        assert done == ""
        assert task.answer(prompt) != ""
