"""Sentences with their fields."""

from __future__ import annotations

import copy
import gettext
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import EnvironmentProblem, UnknownName, UsageProblem, reason_of
from groundup.core.messages import GAP, Message, either, every, joined, lines_of, plural, said_by, series


class Shouting(gettext.NullTranslations):
    """A language in which every word of a template is in capitals, and its fields stay."""

    def gettext(self, message: str) -> str:
        return "".join(part if part.startswith("{") else part.upper() for part in _parts(message))

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 0 else msgid2)


def _parts(text: str) -> list[str]:
    return [piece for half in text.split("{") for piece in _half(half, first=half is text.split("{")[0])]


def _half(half: str, *, first: bool) -> list[str]:
    field, brace, rest = half.partition("}")
    return [half] if first or not brace else ["{" + field + "}", rest]


SHOUTING = Shouting()


def test_it_is_its_english() -> None:
    message = Message("No {kind} {name!r} in {seconds:.1f} s.", kind="day", name="day-15", seconds=2)
    assert message == "No day 'day-15' in 2.0 s."
    assert hash(message) == hash(str(message))
    assert type(str(message)) is str
    assert f"{message}" == str(message)
    assert (message.template, message.fields["seconds"]) == ("No {kind} {name!r} in {seconds:.1f} s.", 2)


def test_without_fields_it_stands_as_it_is() -> None:
    assert Message("{en = '...'} 100 %") == "{en = '...'} 100 %"
    assert Message("{en = '...'}").translated(SHOUTING) == "{en = '...'}"


def test_what_it_is_made_of_is_kept_plain() -> None:
    message = Message("{path}: {error}, {many}", path=Path("a/b"), error=ValueError("no"), many=[1, Path("c")])
    assert message.fields == {"path": "a/b", "error": "no", "many": (1, "c")}
    assert message == "a/b: no, 1, c"


def test_fields_that_are_messages_are_translated_too() -> None:
    inner = Message("no {kind}", kind=Message("day"))
    assert Message("sorry, {why}: {name}", why=inner, name="x").translated(SHOUTING) == "SORRY, NO DAY: x"
    assert Message("of {kinds}", kinds=[Message("days"), "weeks"]).translated(SHOUTING) == "OF DAYS, weeks"
    assert Message("it said {error}", error=UsageProblem("no {x}", x="day")).translated(SHOUTING) == "IT SAID NO day"


def test_a_list_can_be_quoted() -> None:
    assert Message("{names!r}", names=["a", "b"]) == "'a', 'b'"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_the_template(again: Any) -> None:
    for message in (Message("no {x}", x=Message("y")), plural("{count} day", "{count} days", 2)):
        assert again(message) == message
        assert again(message).translated(SHOUTING) == message.translated(SHOUTING)


def test_a_sentence_that_counts() -> None:
    assert [str(plural("one hole", "{count} holes", n)) for n in (1, 2, 0)] == ["one hole", "2 holes", "0 holes"]
    assert plural("one hole", "{count} holes", 0).translated(SHOUTING) == "ONE HOLE"


def test_a_translation_that_does_not_fit_is_not_shown() -> None:
    class Broken(gettext.NullTranslations):
        def gettext(self, message: str) -> str:
            return "{other}"

    for translation in ("{other}", "{x.y}", "{x[0]}{", "{0}"):
        Broken.gettext = lambda self, message, translation=translation: translation  # type: ignore[method-assign, misc]
        assert Message("no {x}", x=1).translated(Broken()) == "no 1"


def test_it_goes_through_json() -> None:
    for message in (
        Message("as it is"),
        Message("no {x} of {many}, {n:.1f}", x=Message("y {z!r}", z="q"), many=["a", Message("b")], n=1.5),
        plural("{count} day", "{count} days", 3),
    ):
        again = Message.from_data(json.loads(json.dumps(message.as_data())))
        assert (again, again.as_data()) == (message, message.as_data())
        assert again.translated(SHOUTING) == message.translated(SHOUTING)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"template": 3, "fields": {}},
        {"template": "{x.__class__}", "fields": {"x": "a"}},
        {"template": "{x[0]}", "fields": {"x": "a"}},
        {"template": "{x:>9999999}", "fields": {"x": "a"}},
        {"template": "{x!a}", "fields": {"x": "a"}},
        {"template": "{y}", "fields": {"x": "a"}},
        {"template": "{", "fields": {"x": "a"}},
        {"template": "{x:{x}}", "fields": {"x": "a"}},
        {"template": "{x}", "fields": {"x": None}},
        {"template": "{x}", "fields": {"x": {"a": 1}}},
        {"template": "{count}", "many": "{count}", "fields": {"count": "3"}},
        {"template": "{count}", "many": 3, "fields": {"count": 3}},
    ],
)
def test_data_that_no_message_is_made_of_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Message.from_data(data)


def test_several_in_a_row() -> None:
    assert [str(either("abc"[:n])) for n in (1, 2, 3)] == ["a", "a or b", "a, b or c"]
    assert every(["a", "b", "c"]).translated(SHOUTING) == "a, b AND c"
    assert series([Message("one"), "two", Message("three")]).translated(SHOUTING) == "ONE; two; THREE"
    assert joined("\n", [Message("one"), "two"]).translated(SHOUTING) == "ONE\ntwo"
    assert GAP == " "


def test_the_lines_of_a_joined_text_are_the_messages_that_they_are() -> None:
    lines = [Message("line {n}", n=1), Message("line {n}", n=2)]
    found = lines_of(joined("\n", lines))
    assert found == lines
    assert [line.translated(SHOUTING) for line in found if isinstance(line, Message)] == ["LINE 1", "LINE 2"]
    assert (lines_of("a\nb"), lines_of(""), lines_of(joined("\n", []))) == (["a", "b"], [], [])


def test_texts_that_fill_it_can_be_changed() -> None:
    message = Message("{a} {b} {c}", a="x\x1b", b=Message("t\x1b {d}", d="y\x1b"), c=["z\x1b", 1])
    assert message.with_texts(lambda text: text.replace("\x1b", "?")) == "x? t\x1b y? z?, 1"


def test_an_error_keeps_what_it_says() -> None:
    error = UnknownName(Message("day"), "dai", ["day"], Message("there is more"))
    assert str(error) == "No day 'dai'. Did you mean 'day'?"
    assert error.message.translated(SHOUTING) == "NO DAY 'dai'. DID YOU MEAN 'day'?"
    assert said_by(error) is error.message
    assert said_by(KeyError("a", "b")) == "('a', 'b')"
    assert UsageProblem(error.message).message is error.message
    assert str(EnvironmentProblem("a text with {braces}")) == "a text with {braces}"


def test_what_the_system_says_is_a_message() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Path("/none/of/it").read_text()
    assert isinstance(reason_of(caught.value), Message)
    assert reason_of(caught.value) == "No such file or directory"
