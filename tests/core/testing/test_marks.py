from __future__ import annotations

from typing import Any

from groundup.core.testing import about, after, claim, hole, points
from groundup.core.testing.marks import marks_of


def earlier(impl: Any) -> None:
    """Stands for a property that comes first."""


def test_without_marks_the_name_is_the_claim() -> None:
    def test_freeing_a_block_keeps_the_others(impl: Any) -> None: ...

    marks = marks_of(test_freeing_a_block_keeps_the_others)
    assert marks.claim == {"en": "freeing a block keeps the others."}
    assert (marks.points, marks.after, marks.hole) == (1.0, (), None)


def test_marks_say_what_they_were_given() -> None:
    @claim("It holds.", zh="成立。")
    @points(2)
    @hole(3)
    @after(earlier)
    def test_second(impl: Any) -> None: ...

    marks = marks_of(test_second)
    assert marks.claim == {"en": "It holds.", "zh": "成立。"}
    assert (marks.points, marks.after, marks.hole) == (2, ("earlier",), 3)


def test_a_property_may_speak_of_one_thing_alone() -> None:
    @about("dtype")
    def test_narrow(impl: Any) -> None: ...

    assert marks_of(test_narrow).topic == "dtype"
    assert marks_of(earlier).topic is None


def test_several_may_come_before() -> None:
    def test_second(impl: Any) -> None: ...

    @after(test_second)
    @after(earlier)
    def test_third(impl: Any) -> None: ...

    assert set(marks_of(test_third).after) == {"earlier", "test_second"}


def test_marks_are_each_propertys_own() -> None:
    @points(2)
    def test_one(impl: Any) -> None: ...

    @hole(1)
    def test_two(impl: Any) -> None: ...

    assert (marks_of(test_one).hole, marks_of(test_two).points) == (None, 1.0)
