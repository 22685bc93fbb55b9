"""A verdict as data: its texts are strings, and what a message is made of goes beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from groundup.core.messages import Message
from groundup.grader.judging.verdict import Attempt, PropertyResult, Verdict

DIFFERS = Message("{what} differs at [{index}]", what=Message("the result"), index="0, 1")


def result(**texts: Any) -> PropertyResult:
    return PropertyResult(id="a", claim="A.", status="failed", **texts)


def verdict(**fields: Any) -> Verdict:
    whole: dict[str, Any] = {
        "technique": "toys/mean", "version": 1, "passed": False, "outcome": "fell_short", "score": 0.0, "seed": 1,
        "examples": 25, "seconds": 1.0, "containment": "process", "attempt": Attempt(path="a.py", sha256="0"),
        "holes": (), "properties": (result(message=DIFFERS, got="torch.tensor(1)"),),
    }  # fmt: skip
    return Verdict(**whole | fields)


def test_a_script_reads_strings_where_it_did() -> None:
    for more in (False, True):
        data = json.loads(verdict(problem=DIFFERS).model_dump_json(round_trip=more))
        assert data["problem"] == "the result differs at [0, 1]"
        assert data["properties"][0]["message"] == "the result differs at [0, 1]"
        assert ("templates" in data, "templates" in data["properties"][0]) == (more, more)
    assert "templates" not in json.loads(result(message="as it is").model_dump_json(round_trip=True))


def test_what_is_read_again_is_a_message(chinese: Callable[[str], str]) -> None:
    first = verdict(problem=DIFFERS)
    for again in (
        Verdict.model_validate_json(first.model_dump_json(round_trip=True)),
        Verdict.model_validate(first.model_dump(mode="json", round_trip=True)),
        first.model_copy(update={"score": 0.5}),
    ):
        assert again.model_dump_json() == first.model_copy(update={"score": again.score}).model_dump_json()
        for text in (again.problem, again.properties[0].message):
            assert isinstance(text, Message)
            assert chinese(text) == "结果在 [0, 1] 处不同"
        assert type(again.properties[0].got) is str


def test_a_verdict_of_an_older_groundup_is_read_as_it_is() -> None:
    data = verdict(problem=DIFFERS).model_dump(mode="json", round_trip=True)
    del data["templates"], data["properties"][0]["templates"]
    old = Verdict.model_validate(data)
    assert (type(old.problem), old.problem) == (str, "the result differs at [0, 1]")


def test_a_template_beside_another_text_is_not_believed() -> None:
    data = result(message=DIFFERS).model_dump(mode="json", round_trip=True)
    changed = PropertyResult.model_validate({**data, "message": "something else"})
    assert (type(changed.message), changed.message) == (str, "something else")


@pytest.mark.parametrize(
    "templates",
    [{"message": {"template": "{x.__class__}", "fields": {"x": "a"}}}, {"message": "text"}, 7, {"message": 1}],
)
def test_a_template_that_does_more_than_name_its_fields_is_refused(templates: Any) -> None:
    data = {**result(message="a").model_dump(mode="json"), "templates": templates}
    with pytest.raises(ValidationError):
        PropertyResult.model_validate(data)
