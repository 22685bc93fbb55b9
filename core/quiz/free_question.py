"""Questions answered in one's own words, and marked by oneself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from pydantic import Field
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.question import Answer, Asked, NotAnAnswer, quoted
from groundup.core.technique import Text, say

__all__ = ["Free"]

LONGEST = 5000  # characters


class Free(Asked):
    """The learner writes, then sees a model answer and a rubric, and says which of its points are met.

    The credit is the share of points that are met. It is the learner's own word, so it is kept apart from what the
    machine has marked.
    """

    rubric: tuple[Text, ...] = Field(
        min_length=2, max_length=6, description="what a good answer says, a sentence a point"
    )
    answer: Text = Field(description="a model answer")

    @override
    def expects(self) -> Message:
        return Message("a few sentences, which you mark yourself afterwards")

    @override
    def by_oneself(self) -> Sequence[Text]:
        return self.rubric

    @override
    def read(self, given: Any) -> dict[str, Any]:
        if isinstance(given, dict):
            if set(given) - {"text", "points"} or "text" not in given:
                raise NotAnAnswer(Message("an answer in words is {example}", example="{text: ..., points: [1, 3]}"))
            points = self._points(given["points"]) if given.get("points") is not None else None
            return {"text": self._text(given["text"]), "points": points}
        return {"text": self._text(given), "points": None}

    @override
    def is_right(self, answer: Answer) -> bool:
        return self.credit(answer) == 1

    @override
    def credit(self, answer: Answer) -> float:
        points = answer.get("points") if isinstance(answer, dict) else None
        return len(set(points or ()) & set(range(1, len(self.rubric) + 1))) / len(self.rubric)

    @override
    def right_answer(self) -> dict[str, Any]:
        return {"text": "", "points": list(range(1, len(self.rubric) + 1))}

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        if not isinstance(answer, dict):
            return str(answer)
        if not answer.get("text"):
            return say(self.answer, lang).strip()
        met, of = answer.get("points"), len(self.rubric)
        marked = "" if met is None else f"  [{len(met)}/{of}" + (f": {', '.join(map(str, met))}]" if met else "]")
        return f"{' '.join(str(answer['text']).split())}{marked}"

    def _text(self, given: Any) -> str:
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise NotAnAnswer(Message("{given} is no text.", given=quoted(given)))
        text = str(given).strip()
        if not text:
            raise NotAnAnswer(Message("Nothing was typed."))
        if len(text) > LONGEST:
            raise NotAnAnswer(Message("That is longer than {count} characters.", count=LONGEST))
        return text

    def _points(self, given: Any) -> list[int]:
        """Return the numbers of the points that are met: ``1 3``, ``[1, 3]``, ``0`` for none."""
        typed = " ".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
        words = re.split(r"[\s,;、]+", unicodedata.normalize("NFKC", typed).strip()) if typed.strip() else []
        last = len(self.rubric)
        for word in words:
            if isinstance(given, bool) or not re.fullmatch("[0-9]{1,2}", word) or int(word) > last:
                raise NotAnAnswer(
                    Message(
                        "{given} is no point: give the numbers that are met, 1 to {last}, or 0 for none.",
                        given=quoted(word),
                        last=last,
                    )
                )
        return sorted({int(word) for word in words} - {0})
