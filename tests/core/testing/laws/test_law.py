from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.testing.laws import Law, Property, law
from groundup.core.testing.marks import marks_of


@pytest.fixture
def limited() -> Law[int]:
    @law("Nothing exceeds the limit.", zh="不超过上限。")
    def test_nothing_exceeds_the_limit(limit: int) -> Property:
        @given(number=st.integers(0, 20))
        def holds(impl: Any, number: int) -> None:
            assert impl(number) <= limit

        return holds

    return test_nothing_exceeds_the_limit


def earlier(impl: Any) -> None: ...


def test_a_law_becomes_a_property_of_its_name_with_the_marks_that_are_given(limited: Law[int]) -> None:
    made: Any = limited(20, hole=2, points=3, after=earlier)
    marks = marks_of(made)
    assert (made.__name__, marks.hole, marks.points) == ("test_nothing_exceeds_the_limit", 2, 3)
    assert marks.after == ("earlier",)
    assert marks.claim == {"en": "Nothing exceeds the limit.", "zh": "不超过上限。"}


def test_two_techniques_have_properties_of_their_own(limited: Law[int]) -> None:
    loose, strict = limited(20, hole=1), limited(10, hole=2)
    assert (marks_of(loose).hole, marks_of(strict).hole) == (1, 2)
    loose(impl=lambda n: n)
    with pytest.raises(AssertionError):
        strict(impl=lambda n: n)


def test_a_technique_may_say_it_in_its_own_words(limited: Law[int]) -> None:
    assert marks_of(limited(20, claim={"en": "At most twenty."})).claim == {"en": "At most twenty."}
