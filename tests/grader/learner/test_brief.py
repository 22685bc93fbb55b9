from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from groundup.core.errors import EnvironmentProblem, UsageProblem
from groundup.core.hookspecs import hookimpl
from groundup.core.registry import Registry
from groundup.core.technique import Day, Hole, Roadmap, Source, Technique
from groundup.grader.judging.verdict import Attempt, Diagnosis, HoleState, PropertyResult, Verdict
from groundup.grader.learner import brief_page, state
from groundup.grader.learner.brief import Brief
from groundup.grader.learner.brief_page import beside, page, write_page
from groundup.grader.learner.gather import gather
from groundup.grader.learner.state import State
from groundup.grader.learner.templates import TEMPLATES, all_texts

STUB = '''"""The mean."""


def mean(x):
    # HOLE 1/2: the sum; set `total`.
    raise NotImplementedError("hole 1/2: the sum")

    # HOLE 2/2: the division; return it.
    raise NotImplementedError("hole 2/2: the division")
'''
FILLED = STUB.replace('raise NotImplementedError("hole 1/2: the sum")', "total = sum(x)").replace(
    'raise NotImplementedError("hole 2/2: the division")', "return total / len(x)"
)
PNG = b"\x89PNG\r\n\x1a\n and so on"
HOSTILE = "<script>alert(1)</script> ````` `x` [a](javascript:alert(1)) | *b* &lt; --> \u202e"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FORMS: tuple[brief_page.Format, ...] = ("md", "html")
numbers = itertools.count()


class Plugin:
    """A plugin that declares the given techniques."""

    def __init__(self, *declared: Technique) -> None:
        self.declared = declared

    @hookimpl
    def techniques(self) -> list[Technique]:
        return list(self.declared)


class House:
    """A workspace's state, techniques of a third party, and the brief about them."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder, self.state = folder, state
        self.techniques: list[Technique] = []
        self.plugins: list[Any] = []
        self.days: list[tuple[str, ...]] = []

    def technique(self, identity: str = "toys/mean", stub: str | None = STUB, **fields: Any) -> Technique:
        package = f"toy_brief_{next(numbers)}"
        (self.folder / package).mkdir()
        (self.folder / package / "__init__.py").touch()
        if stub is not None:
            (self.folder / package / "exercise.py").write_text(stub, encoding="utf-8")
        parts: dict[str, Any] = {
            "title": {"en": "The mean", "zh": "平均数"},
            "summary": {"en": "What is in the middle.", "zh": "居中的数。"},
            "implements": "mean",
            "holes": (Hole(hints=("Add.", "Use sum.")), Hole(hints=("Divide.",))),
            "sources": (Source(title="A toy", url="https://example.org/toy", where="eq. 1"),),
        }
        made = Technique(id=identity, package=package, **parts | fields)
        self.techniques.append(made)
        return made

    def grade(self, source: str = FILLED, technique: str = "toys/mean", passed: bool = True, **other: Any) -> Verdict:
        digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
        kept = other.pop("kept", source)
        parts: dict[str, Any] = {
            "technique": technique,
            "version": 1,
            "passed": passed,
            "outcome": "passed" if passed else "fell_short",
            "score": 1.0 if passed else 0.5,
            "seed": 7,
            "examples": 25,
            "seconds": 0.25,
            "containment": "process",
            "attempt": Attempt(path="/home/ada/workspace/toys/mean.py", sha256=digest),
            "holes": (
                HoleState(number=1, title="the sum", filled=True),
                HoleState(number=2, title="the division", filled=True),
            ),
            "properties": (
                PropertyResult(id="lies-between", claim="A mean lies between.", status="held"),
                PropertyResult(id="of-one", claim="The mean of one.", status="held" if passed else "failed"),
            ),
            "environment": {"python": "3.11", "groundup": "0.1.0"},
            "given_at": NOON,
        }
        verdict = Verdict(**parts | other)
        self.state.record(verdict, kept, {})
        return verdict

    def lab(self, contestants: str = "yours reference", *, technique: str = "toys/mean", **other: Any) -> None:
        runs = []
        for contestant in contestants.split():
            value = 2.0 if contestant == "yours" else 3.0
            outcome = {
                "figures": [{"name": {"en": "error", "zh": "误差"}, "value": value, "published": "2.5 (a paper)"}],
                "mark": {"says": {"en": "It is below 4.", "zh": "低于 4。"}, "reached": True},
            }
            if contestant == "foil":
                outcome["mark"]["reached"] = False  # type: ignore[call-overload,index]
            run = {
                "technique": technique,
                "contestant": contestant,
                "name": {"en": "without the sum", "zh": "不求和"} if contestant == "foil" else None,
                "seed": 5,
                "quick": False,
                "implementations": {technique: "ab" * 32 if contestant == "yours" else "reference"},
                "points": {},
                "outcome": outcome,
            }
            runs.append(run | other)
        self.state.record_lab(technique, runs, PNG)

    def gather(self, lang: str = "en", learner: str = "") -> tuple[Brief, list[str]]:
        loaded = [("toys", lambda: Plugin(*self.techniques))]
        loaded += [(f"adds-{n}", lambda plugin=plugin: plugin) for n, plugin in enumerate(self.plugins)]  # type: ignore[misc]
        registry = Registry(loaded)
        assert registry.problems == []
        days = tuple(Day(number=n, title={"en": "-"}, techniques=t) for n, t in enumerate(self.days or [()], start=1))
        brief, problems = gather(self.state, registry, Roadmap(id="toys", title={"en": "-"}, days=days), lang, learner)
        return brief, [str(problem) for problem in problems]

    def brief(self, lang: str = "en") -> Brief:
        brief, problems = self.gather(lang)
        assert problems == []
        return brief


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    moments = (NOON + timedelta(minutes=n) for n in itertools.count(1))
    monkeypatch.setattr(state, "_now", lambda: next(moments))
    folder = tmp_path / "toys"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    with State(tmp_path / "learn.db") as opened:
        yield House(folder, opened)


class Page(HTMLParser):
    """A parsed page: its tags, their attributes, and the text of code blocks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[str] = []
        self.within: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "pre":
            self.within.append(dict(attributes).get("class") or "")
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self.within.pop()

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.within:
            self.code[-1] += data

    def all(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


def tokens(markdown: str) -> list[Any]:
    """Return every token of a Markdown page, nested ones included."""
    parsed = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def hostile_house(house: House) -> Brief:
    house.technique(title=HOSTILE, summary=HOSTILE, sources=(Source(title=HOSTILE, url="https://e.org/a(b) <i>"),))
    house.grade(
        FILLED.replace("total = sum(x)", f"total = sum(x)  # {HOSTILE}\n    r'''\n````````\n# Not a heading\n'''"),
        passed=False,
        properties=(
            PropertyResult(
                id="of-one",
                claim=HOSTILE,
                status="failed",
                counterexample={"x": HOSTILE},
                expected=HOSTILE,
                got=HOSTILE,
                where=HOSTILE,
                message=HOSTILE,
                printed=HOSTILE,
            ),
        ),
        holes=(HoleState(number=1, title=HOSTILE, filled=True), HoleState(number=2, title=HOSTILE, filled=False)),
        diagnosis=(Diagnosis(id="adds", kind="misconception", says=HOSTILE),),
        environment={"python": HOSTILE, "groundup": HOSTILE},
        containment=HOSTILE,
    )
    house.lab(
        outcome={
            "figures": [{"name": {"en": HOSTILE}, "value": 1.0, "unit": HOSTILE, "published": HOSTILE}],
            "mark": {"says": {"en": HOSTILE}, "reached": False},
        },
        implementations={"toys/mean": HOSTILE, HOSTILE: "reference"},
    )
    house.state.record_quiz("toys/mean", 1, HOSTILE[:64], 2, {HOSTILE: ("A", False)})
    brief, _ = house.gather(learner=HOSTILE)
    return brief


# Quoted verdicts


def test_a_pass_is_quoted_before_a_later_failure(house: House) -> None:
    house.technique()
    passed = house.grade(seed=1)
    house.grade(seed=2, passed=False, score=1.0)  # the failed property is worth no points
    assert house.brief().proofs[0].verdict == passed


def test_without_a_pass_the_newest_of_the_best_scores_is_quoted(house: House) -> None:
    house.technique()
    house.grade(seed=1, passed=False, score=0.75)
    best = house.grade(seed=2, passed=False, score=0.75)
    house.grade(seed=3, passed=False, score=0.5)
    assert house.brief().proofs[0].verdict == best


def test_a_grading_that_was_not_gradable_is_in_the_history_and_never_quoted(house: House) -> None:
    house.technique()
    short = house.grade(seed=1, passed=False, score=0.5)
    house.grade(seed=2, passed=False, score=0.9, outcome="not_gradable")
    proof = house.brief().proofs[0]
    assert proof.verdict == short
    assert [(g.seed, g.outcome, g.quoted) for g in proof.history] == [
        (1, "fell_short", True),
        (2, "not_gradable", False),
    ]


def test_what_was_not_loaded_or_not_begun_is_no_score_in_the_history(house: House) -> None:
    house.technique()
    house.grade("no Python", passed=False, score=0.0, problem="The file cannot be loaded: SyntaxError", seed=1)
    house.grade(STUB, passed=False, score=0.0, outcome="not_started", seed=2)
    best = house.grade(passed=False, score=0.0, seed=3)
    house.grade("no Python", passed=False, score=0.0, outcome="died", problem="It cannot be loaded: crash", seed=4)
    brief = house.brief()
    (proof,) = brief.proofs
    assert (proof.verdict, [g.seed for g in proof.history], brief.totals.gradings) == (best, [3], 1)
    assert [v.seed for v in house.state.verdicts()] == [4, 3, 2, 1]  # no verdict is lost


@pytest.mark.parametrize("outcome", ["not_started", "not_gradable"])
def test_what_proves_nothing_makes_no_brief(house: House, outcome: str) -> None:
    house.technique()
    house.grade(passed=False, score=0.0, outcome=outcome)
    house.state.begin_quiz("toys/mean", 1, "0" * 64, 3)
    house.lab("reference")
    assert house.brief().proofs == ()


def test_a_finished_quiz_or_a_lab_of_one_s_own_stands_without_a_grading(house: House) -> None:
    house.technique("toys/a")
    house.technique("toys/b")
    house.state.record_quiz("toys/a", 1, "0" * 64, 3, {"q": ("A", True)})
    house.lab(technique="toys/b")
    brief = house.brief()
    assert [p.technique for p in brief.proofs] == ["toys/a", "toys/b"]
    for form in FORMS:
        assert page(brief, form).count("No attempt at it has been graded yet.") == 2


def test_techniques_stand_in_the_order_of_the_roadmap_and_then_of_their_ids(house: House) -> None:
    for identity in ("toys/a", "toys/b", "toys/c", "toys/d"):
        house.technique(identity)
        house.grade(technique=identity)
    house.days = [("toys/d",), ("toys/nobody", "toys/b")]
    assert [p.technique for p in house.brief().proofs] == ["toys/d", "toys/b", "toys/a", "toys/c"]


def test_a_verdict_of_an_older_version_is_marked_as_such(house: House) -> None:
    house.technique(version=3)
    house.grade(version=2)
    brief = house.brief()
    data = brief.model_dump(mode="json")["proofs"][0]
    assert (data["older"], data["version"], data["verdict"]["version"]) == (True, 3, 2)
    for form in FORMS:
        shown = page(brief, form)
        assert "This verdict is on version 2 of the technique; since then it has become version 3" in shown
        assert "passed, older version 2" in shown


def test_what_changed_since_the_version_of_a_verdict_is_told(house: House, chinese: Callable[[str], str]) -> None:
    changes = ({"version": 2, "text": "Never."}, {"version": 3, "text": {"en": "A new rule.", "zh": "新规则。"}})
    house.technique(version=3, changes=changes)
    house.grade(version=2)
    assert house.brief().proofs[0].changes == ("A new rule.",)
    for form in FORMS:
        shown = page(house.brief(), form)
        assert "may now get another verdict. What changed: A new rule." in shown
        assert "变化：新规则。" in page(house.brief("zh"), form, told=chinese)


def test_a_score_of_an_older_version_is_marked_and_a_later_pass_takes_its_place(house: House) -> None:
    house.technique(version=2)
    house.grade(passed=False)
    for form in FORMS:
        assert "50%, older version 1" in page(house.brief(), form)
    house.grade(version=2)
    brief = house.brief()
    assert [(g.version, g.older, g.quoted) for g in brief.proofs[0].history] == [(1, True, False), (2, False, True)]
    for form in FORMS:
        shown = page(brief, form)
        assert "1, older<" in shown or "| 1, older |" in shown
        assert "since then it has become" not in shown


def test_a_verdict_of_a_newer_version_than_the_one_installed_is_told_as_that(house: House) -> None:
    house.technique(version=1)
    house.grade(version=2)
    brief = house.brief()
    assert not brief.proofs[0].older
    for form in FORMS:
        shown = page(brief, form)
        assert "This verdict is on version 2 of the technique; here an older plugin is installed" in shown
        assert "passed, older" not in shown


def test_the_contract_that_a_technique_was_written_for_is_quoted_where_the_verdict_has_it(house: House) -> None:
    house.technique()
    house.grade(contract=1)
    for form in FORMS:
        assert "1 (plugin contract 1)" in page(house.brief(), form)
    house.grade()
    for form in FORMS:
        assert "plugin contract" not in page(house.brief(), form)


def test_a_technique_that_is_no_longer_installed_is_still_quoted(house: House) -> None:
    verdict = house.grade(technique="gone/old-one")
    brief = house.brief()
    (proof,) = brief.proofs
    assert (proof.title, proof.version, proof.verdict, proof.older) == ("gone/old-one", None, verdict, False)
    for form in FORMS:
        assert "No plugin that is installed here declares this technique" in page(brief, form)
        assert "learn grade gone/old-one --attempt old_one.py --seed 7" in page(brief, form)


def test_the_short_name_is_given_only_where_it_names_one_technique(house: House) -> None:
    for identity in ("toys/mean", "tools/mean", "toys/sum"):
        house.technique(identity)
        house.grade(technique=identity)
    assert {p.technique: p.called for p in house.brief().proofs} == {
        "toys/mean": "toys/mean",
        "tools/mean": "tools/mean",
        "toys/sum": "sum",
    }


def test_a_thorough_grading_is_run_again_thoroughly(house: House) -> None:
    house.technique()
    house.grade(examples=200, seed=99)
    for form in FORMS:
        assert "learn grade mean --attempt mean.py --seed 99 --thorough" in page(house.brief(), form)


def test_hints_and_giving_up_are_told(house: House) -> None:
    house.technique()
    house.state.note("toys/mean", "hint", "1.1")
    house.state.note("toys/mean", "hint", "1.1")
    house.state.note("toys/mean", "hint", "1.2")
    house.state.note("toys/mean", "gave_up")
    house.grade(given_at=NOON + timedelta(days=1))
    for form in FORMS:
        shown = page(house.brief(), form)
        assert "2 of 3 hints; gave up and saw the reference on 2026-03-01; before the verdict quoted here" in shown
        assert "2, gave up" in shown


def test_seeing_the_reference_after_a_pass_is_no_giving_up(house: House) -> None:
    house.technique()
    house.grade()
    house.state.note("toys/mean", "solution_shown")
    proof = house.brief().proofs[0]
    assert proof.gave_up_at is None
    assert "did not give up" in page(house.brief(), "md")


def test_giving_up_after_the_verdict_is_told_apart(house: House) -> None:
    house.technique()
    house.grade(passed=False, given_at=NOON.replace(tzinfo=None))
    house.state.note("toys/mean", "gave_up")
    assert not house.brief().proofs[0].gave_up_before
    assert "after the verdict quoted here" in page(house.brief(), "html")


def test_the_machine_s_paths_stay_out_of_the_page(house: House) -> None:
    house.technique()
    house.grade()
    for form in FORMS:
        assert "ada" not in page(house.brief(), form)


def test_the_totals_are_those_of_the_quoted_rows(house: House) -> None:
    house.technique()
    house.technique("toys/other")
    house.grade(given_at=NOON - timedelta(days=9), passed=False)
    house.grade()
    house.grade(technique="toys/other", passed=False)
    house.lab()
    house.lab(technique="toys/other", quick=True)
    house.state.record_quiz("toys/mean", 1, "0" * 64, 4, {"q": ("A", True)})
    house.state.record_quiz("toys/mean", 2, "0" * 64, 4, {"q": ("A", True), "r": ("B", True)})
    totals = house.brief().totals
    assert totals.model_dump() == {
        "graded": 2,
        "passed": 1,
        "claims": 4,
        "held": 3,
        "gradings": 3,
        "questions": 4,
        "right": 2,
        "marks": 1,
        "marks_reached": 1,
        "first": NOON - timedelta(days=9),
        "last": NOON + timedelta(minutes=6),
    }


# The learner's code


def parts(house: House, source: str) -> list[tuple[str, bool, tuple[int, ...]]]:
    house.grade(source)
    code = house.brief().proofs[0].code
    assert code is not None
    assert "".join(p.text for p in code.parts) == source
    return [(p.text, p.yours, p.holes) for p in code.parts]


def test_what_fills_a_hole_is_told_from_what_was_handed_out(house: House) -> None:
    house.technique()
    head, middle = STUB.split('    raise NotImplementedError("hole 1/2: the sum")\n')
    middle = middle.split('    raise NotImplementedError("hole 2/2: the division")\n')[0]
    assert parts(house, FILLED) == [
        (head, False, ()),
        ("    total = sum(x)\n", True, (1,)),
        (middle, False, ()),
        ("    return total / len(x)\n", True, (2,)),
    ]


def test_a_hole_that_is_still_empty_is_not_the_learner_s(house: House) -> None:
    house.technique()
    half = STUB.replace('raise NotImplementedError("hole 1/2: the sum")', "total = sum(x)")
    assert [text for text, yours, _ in parts(house, half) if yours] == ["    total = sum(x)\n"]


def test_lines_beside_the_holes_are_the_learner_s_too(house: House) -> None:
    house.technique()
    helped = FILLED.replace("def mean(x):", "def helper():\n    return 1\n\n\ndef mean(x):")
    mine = [(text.strip(), holes) for text, yours, holes in parts(house, helped) if yours]
    assert mine == [
        ("def helper():\n    return 1", ()),
        ("total = sum(x)", (1,)),
        ("return total / len(x)", (2,)),
    ]


def test_a_file_written_anew_fills_every_hole_at_once(house: House) -> None:
    house.technique()
    assert parts(house, "mean = lambda x: sum(x) / len(x)\n") == [
        ("mean = lambda x: sum(x) / len(x)\n", True, (1, 2)),
    ]


def test_without_the_stub_no_line_is_called_the_learner_s(house: House) -> None:
    house.technique(stub=None)
    assert [(yours, holes) for _, yours, holes in parts(house, FILLED)] == [(False, ())]
    for form in FORMS:
        assert "the learner&#39;s own lines are not marked" in page(house.brief(), form).replace("'s", "&#39;s")


def test_a_very_long_file_of_common_lines_is_compared_all_the_same(house: House) -> None:
    house.technique()
    mine = [text for text, yours, _ in parts(house, FILLED + "\n" * 100_000 + "    # HOLE\n" * 2_000) if yours]
    assert mine[:2] == ["    total = sum(x)\n", "    return total / len(x)\n" + "\n" * 100_000 + "    # HOLE\n" * 2_000]


def test_the_file_is_handed_out_byte_for_byte(house: House) -> None:
    source = FILLED.replace("\n", "\r\n") + "# \udcff no newline at the end, \u202e"
    house.technique()
    verdict = house.grade(source)
    data = source.encode("utf-8", "surrogateescape")
    brief = house.brief()
    (name,) = [name for name in beside(brief) if name.endswith(".py")]
    assert beside(brief)[name] == data
    links = [h for h in Page(page(brief, "html")).all("href") if h.startswith("data:")]
    saved = base64.b64decode(links[0].partition("base64,")[2])
    assert hashlib.sha256(saved).hexdigest() == verdict.attempt.sha256
    code = brief.proofs[0].code
    assert code is not None
    assert (code.size, code.hidden) == (len(data), 2)
    assert "\r" not in "".join(p.text for p in code.parts)


def test_the_code_that_html_shows_can_be_copied_line_by_line(house: House) -> None:
    house.technique()
    house.grade()
    shown = Page(page(house.brief(), "html"))
    assert FILLED in shown.code
    labels = [a["data-label"] for tag, a in shown.tags if tag == "span" and a.get("class") == "yours"]
    assert labels == ["Hole 1: the sum", "Hole 2: the division"]


def test_markdown_marks_the_learner_s_lines_and_keeps_every_line(house: House) -> None:
    house.technique()
    house.grade()
    (shown,) = [t.content for t in tokens(page(house.brief(), "md")) if t.type == "fence" and t.info == "diff"]
    lines = shown.splitlines()
    assert "".join(line[1:] + "\n" for line in lines) == FILLED
    assert [line for line in lines if line.startswith("+")] == ["+    total = sum(x)", "+    return total / len(x)"]


def test_a_file_that_is_not_the_one_graded_is_left_out_and_reported(house: House) -> None:
    house.technique()
    verdict = house.grade(kept="print('another')")
    brief, problems = house.gather()
    assert brief.proofs[0].code is None
    assert len(problems) == 1
    assert verdict.attempt.sha256 in problems[0]
    for form in FORMS:
        assert "The file is not in the database." in page(brief, form)


# Labs, quizzes, history


def test_a_lab_stands_beside_the_reference_and_the_published_figure(house: House) -> None:
    house.technique()
    house.grade()
    house.lab()
    brief = house.brief("zh")
    (figure,) = brief.proofs[0].lab.figures  # type: ignore[union-attr]
    assert (figure.name, figure.yours, figure.reference, figure.published) == ("误差", 2.0, 3.0, "2.5 (a paper)")
    assert "| 误差 | 2 | 3 | 2.5 (a paper) |" in page(brief, "md")
    html = Page(page(brief, "html"))
    assert html.all("src") == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]


@pytest.mark.parametrize("form", FORMS)
def test_the_foil_has_a_column_of_its_own(house: House, form: brief_page.Format) -> None:
    house.technique()
    house.lab("yours reference foil")
    brief = house.brief()
    lab = brief.proofs[0].lab
    assert lab is not None
    assert (lab.foil, lab.foil_reached, lab.figures[0].foil) == ("without the sum", False, 3.0)
    shown = page(brief, form)
    assert "with a variant of it: without the sum." in shown
    assert "missed, as it should" in shown
    if form == "md":
        assert "| Measured | Learner | Reference | without the sum | Published |\n|---|---|---|---|---|\n" in shown
        assert "| error | 2 | 3 | 3 | 2.5 (a paper) |" in shown
    chinese = page(house.brief("zh"), form)
    assert "不求和" in chinese


def test_a_lab_that_was_recorded_without_a_foil_has_no_column_for_it(house: House) -> None:
    house.technique()
    house.lab()
    shown = page(house.brief(), "md")
    assert "| Measured | Learner | Reference | Published |\n|---|---|---|---|\n| error | 2 | 3 |" in shown
    assert "variant" not in shown


def test_a_full_run_of_a_lab_is_quoted_before_a_newer_quick_one(house: House) -> None:
    house.technique()
    house.lab(seed=1)
    house.lab(seed=2)
    house.lab(seed=3, quick=True)
    house.lab("reference", seed=4)
    assert house.brief().proofs[0].lab.seed == 2  # type: ignore[union-attr]


def test_a_quick_run_says_what_it_is_and_claims_no_mark(house: House) -> None:
    house.technique()
    house.lab(quick=True)
    for form in FORMS:
        shown = page(house.brief(), form)
        assert "mark not judged. It shows that the loop runs, not what it reaches" in shown
        assert "It is below 4" not in shown


def test_a_lab_names_the_file_that_it_ran(house: House) -> None:
    house.technique()
    verdict = house.grade()
    house.lab(implementations={"toys/mean": verdict.attempt.sha256, "toys/sum": "reference"})
    for form in FORMS:
        shown = page(house.brief(), form)
        assert "The file is the one graded above." in shown
        assert "It also used toys/sum: the reference." in shown
    house.grade(FILLED + "# changed\n")
    assert f"another than the one graded above: sha256 {verdict.attempt.sha256}." in page(house.brief(), "html")


def test_a_lab_of_another_groundup_is_left_out_and_reported(house: House) -> None:
    house.technique()
    house.lab()
    house.lab(outcome={"figures": 3})
    brief, problems = house.gather()
    assert brief.proofs[0].lab is not None
    assert problems == [
        "A lab of toys/mean (2026-03-01 12:02 UTC) was recorded by another Groundup and cannot be read by this one; "
        "the brief goes without it. Updating Groundup may help. (outcome.figures: Input should be a valid tuple)"
    ]


def test_every_quiz_is_listed_and_the_best_finished_one_counts(house: House) -> None:
    house.technique()
    house.state.record_quiz("toys/mean", 1, "0" * 64, 2, {"p": ("A", True), "q": ("B", True)})
    house.state.record_quiz("toys/mean", 2, "0" * 64, 2, {"p": ("A", False), "q": ("B", True)})
    number = house.state.begin_quiz("toys/mean", 3, "0" * 64, 2)
    house.state.answer_quiz(number, "p", "A", True)
    (proof,) = house.brief().proofs
    assert [(q.seed, q.status, q.answered, q.right, q.missed) for q in proof.quizzes] == [
        (1, "finished", 2, 2, ()),
        (2, "finished", 2, 1, ("p",)),
        (3, "open", 1, 1, ()),
    ]
    assert proof.best_quiz == proof.quizzes[0]
    house.state.record_quiz("toys/mean", 4, "0" * 64, 2, {"p": ("A", True), "q": ("B", True)})
    assert house.brief().proofs[0].best_quiz.seed == 4  # type: ignore[union-attr]  # of equals the newest


def test_the_history_has_every_score_from_the_first(house: House) -> None:
    house.technique()
    house.grade(seed=2**70, passed=False, score=0.0, given_at=NOON - timedelta(hours=1))
    house.grade(seed=2, passed=False, score=0.5)
    house.grade(seed=3)
    markdown, html = (page(house.brief(), form) for form in FORMS)
    rows = [line for line in markdown.splitlines() if re.match(r"\| 2026-03-01 1[12]:00 UTC \| \d+%", line)]
    assert [row.split(" | ")[1:4] for row in rows] == [
        ["0%", "fell short", str(2**70)],
        ["50%", "fell short", "2"],
        ["100%", "passed (quoted above)", "3"],
    ]
    assert "`▁▅█`" in markdown
    drawn = Page(html)
    (line,) = [a["points"] for tag, a in drawn.tags if tag == "polyline"]
    assert line == "4.00,32.00 18.00,18.00 32.00,4.00"
    assert "Scores of 3 gradings, oldest first: 0%, 50%, 100%" in drawn.all("aria-label")


def test_a_long_history_is_drawn_no_wider_than_the_page(house: House) -> None:
    house.technique()
    for seed in range(300):
        house.grade(seed=seed, passed=False)
    drawn = Page(page(house.brief(), "html"))
    (width,) = [float(a["width"] or 0) for tag, a in drawn.tags if tag == "svg"]
    assert width <= brief_page.SPARK_WIDEST + 2 * brief_page.SPARK_EDGE


@pytest.mark.parametrize(("score", "shown"), [(0.0, "0%"), (0.375, "38%"), (0.999, "99%"), (1.0, "100%")])
def test_nearly_all_is_not_called_all(score: float, shown: str) -> None:
    assert brief_page._percent(score) == shown


# Same rows, same bytes


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process runs in another time zone."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XXX-5")
        time.tzset()
        yield
    time.tzset()


def test_the_same_rows_give_the_same_bytes(house: House) -> None:
    house.technique()
    house.grade(
        environment={"b": "2", "a": "1"}, given_at=datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    )
    house.lab()
    house.state.record_quiz("toys/mean", 1, "0" * 64, 2, {"p": ("A", True)})
    for form in FORMS:
        assert page(house.brief(), form, "files") == page(house.brief(), form, "files")
    assert house.brief().model_dump_json() == house.brief().model_dump_json()


@pytest.mark.parametrize("given_at", [NOON, NOON.astimezone(timezone(timedelta(hours=-7))), NOON.replace(tzinfo=None)])
def test_moments_are_shown_in_utc_whatever_zone_they_were_recorded_in(
    house: House, elsewhere: None, given_at: datetime
) -> None:
    house.technique()
    house.grade(given_at=given_at)
    assert house.brief().totals.first == NOON
    for form in FORMS:
        assert "2026-03-01 12:00 UTC" in page(house.brief(), form)


def test_the_containment_is_told_in_words_where_there_are_any(house: House) -> None:
    house.technique()
    house.grade(containment="process")
    assert "Ran in: a process of its own, not jailed" in page(house.brief(), "md")
    house.grade(containment="a new wall")
    assert "Ran in: a new wall" in page(house.brief(), "md")


def test_the_environment_is_shown_in_one_order(house: House) -> None:
    house.technique()
    house.grade(environment={"torch": "2", "python": "3", "groundup": "1"})
    for form in FORMS:
        assert "groundup 1, python 3, torch 2" in page(house.brief(), form)


def test_no_other_date_than_the_rows_is_in_a_page(house: House) -> None:
    house.technique()
    house.grade()
    house.lab()
    for form in FORMS:
        dates = set(re.findall(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?", page(house.brief(), form)))
        assert dates == {"2026-03-01", "2026-03-01 12:00", "2026-03-01 12:01"}


# Hostile text


def test_no_text_of_a_row_becomes_a_tag_or_a_link_in_html(house: House) -> None:
    shown = Page(page(hostile_house(house), "html"))
    ours = {
        *("html", "head", "meta", "title", "style", "body", "header", "nav", "section", "article", "footer", "div"),
        *("h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "br"),
        *("strong", "em", "span", "code", "pre", "figure", "figcaption", "img", "a", "svg", "line", "polyline"),
        "circle",
    }
    assert {tag for tag, _ in shown.tags} <= ours
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    for address in shown.all("href"):
        assert re.match(r"#toys-mean$|https://e\.org/a|data:text/x-python;base64,[\w+/=]+$", address), address
    assert shown.words.count(HOSTILE.replace("\u202e", "\ufffd")) > 15


def test_html_asks_nothing_of_the_network_and_runs_nothing(house: House) -> None:
    text = page(hostile_house(house), "html")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert {tag for tag, a in Page(text).tags if not (a.get("src") or "data:").startswith("data:")} == set()
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_no_text_of_a_row_becomes_markup_in_markdown(house: House) -> None:
    brief = hostile_house(house)
    found = tokens(page(brief, "md", "files"))
    html = [t for t in found if t.type in ("html_block", "html_inline")]
    assert [t.content.startswith("<!-- Written by 'learn brief'") for t in html] == [True]
    links = [str(t.attrs["href"]) for t in found if t.type == "link_open"]
    assert all(re.match(r"files/toys-mean-\w{12}\.py$|https://e\.org/a%28b%29", link) for link in links)
    headings = [found[n + 1].content for n, t in enumerate(found) if t.type == "heading_open"]
    assert "Not a heading" not in headings
    assert [h for h in headings if not h.startswith(("\\<script", "✗", "Technical brief of"))] == [
        *("Overview", "How to check this", "Evidence", "Claims", "Score history", "Code", "Lab", "Quiz", "Sources"),
    ]
    rows = [found[n : n + 40] for n, t in enumerate(found) if t.type == "tr_open"]
    assert rows
    widths = {sum(t.type in ("td_open", "th_open") for t in r[: [t.type for t in r].index("tr_close")]) for r in rows}
    assert widths <= {4, 5, 6}


def test_a_fence_is_longer_than_any_run_of_backticks_in_it(house: House) -> None:
    brief = hostile_house(house)
    fences = [t for t in tokens(page(brief, "md")) if t.type == "fence"]
    shown = HOSTILE.replace("\u202e", "\ufffd")
    assert sum(shown in t.content for t in fences) == 5  # message, case, difference, print, code
    (code,) = [t for t in fences if t.info == "diff"]
    assert code.markup == "`" * 9


@pytest.mark.parametrize(
    "text",
    ["1. one", "2) two", "- three", "+ four", "# five", "===", "---", "***", "```", "> six", "a\n\n# b", "[x]: y"],
)
def test_a_line_of_text_stays_a_paragraph_in_markdown(text: str) -> None:
    parsed = MarkdownIt("commonmark").parse(brief_page._inline(text))
    assert [t.type for t in parsed] == ["paragraph_open", "inline", "paragraph_close"]
    assert {t.type for t in parsed[1].children or ()} == {"text"}
    assert "".join(t.content for t in parsed[1].children or ()) == re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("text", ["plain", "a`b", "``a```", "`", "a | b", "\\"])
def test_a_span_of_code_shows_its_text_even_in_a_table(text: str) -> None:
    row = f"| a | b |\n|---|---|\n| {brief_page._ticked(text)} | c |"
    found = tokens(row)
    assert [t.content for t in found if t.type == "code_inline"] == [text.replace("|", "\N{BROKEN BAR}")]
    assert sum(t.type == "td_open" for t in found) == 2


def test_what_steers_a_terminal_or_hides_text_is_shown_as_a_mark(house: House) -> None:
    house.technique()
    house.grade(FILLED.replace("sum(x)", "sum(x)  # \x1b[2J\u202e\u200b"))
    for form in FORMS:
        shown = page(house.brief(), form)
        assert not set("\x1b\u202e\u200b") & set(shown)
        assert "(3 here)" in shown


def test_text_beyond_all_reading_is_cut_and_says_so(house: House) -> None:
    house.technique()
    failed = PropertyResult(id="of-one", claim="One.", status="failed", printed="x" * 60_000)
    house.grade(passed=False, properties=(failed,))
    for form in FORMS:
        shown = page(house.brief(), form)
        assert "x" * brief_page.LONGEST_CASE in shown
        assert "x" * (brief_page.LONGEST_CASE + 1) not in shown
        assert "... and 56000 more characters" in shown


# Sections of plugins


class Adds:
    def __init__(self, section: Any) -> None:
        self.section = section
        self.given: list[dict[str, Any]] = []

    @hookimpl
    def brief_sections(self, verdicts: list[dict[str, Any]], lang: str) -> Any:
        self.given = verdicts
        verdicts.clear() if self.section is None else None
        if isinstance(self.section, BaseException):
            print("on its way out")
            raise self.section
        return self.section


class AddsByLanguage:
    @hookimpl
    def brief_sections(self, lang: str) -> dict[str, str]:
        return {"Language": f"*{lang}*"}


def test_plugins_add_sections_from_the_quoted_verdicts(house: House) -> None:
    house.technique()
    house.grade(seed=1, passed=False)
    quoted = house.grade(seed=2)
    adds = Adds({"Hours": "Spent **four**.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n# Part"})
    house.plugins = [adds, AddsByLanguage()]
    brief = house.brief("zh")
    assert adds.given == [quoted.model_dump(mode="json")]
    assert [(s.plugin, s.title) for s in brief.sections] == [("adds-0", "Hours"), ("adds-1", "Language")]
    html = page(brief, "html")
    assert "<strong>four</strong>" in html
    assert "<td>1</td>" in html
    assert "<h4>Part</h4>" in html
    assert "> Spent **four**.\n" in page(brief, "md")
    assert "> *zh*" in page(brief, "md")


@pytest.mark.parametrize(
    "broken", [RuntimeError("no disk"), SystemExit(3), ["a list"], {"title": 3}, None], ids=lambda b: type(b).__name__
)
def test_a_plugin_that_fails_is_reported_and_left_out(
    house: House, capsys: pytest.CaptureFixture[str], broken: Any
) -> None:
    house.technique()
    house.grade()
    other = Adds({"Stays": "text"})
    house.plugins = [Adds(broken), other]
    brief, problems = house.gather()
    assert [s.title for s in brief.sections] == ["Stays"]
    assert len(other.given) == 1
    assert len(problems) == 1
    assert problems[0].startswith("Plugin 'adds-0' failed in brief_sections(): ")
    assert capsys.readouterr().out == ""


def test_what_a_plugin_leaves_open_ends_with_its_section(house: House) -> None:
    house.technique()
    house.grade()
    house.plugins = [Adds({"A": "````\n<!-- open\n<script>alert(1)</script>"}), Adds({"B": "[x](javascript:alert(1))"})]
    found = tokens(page(house.brief(), "md"))
    headings = [found[n + 1].content for n, t in enumerate(found) if t.type == "heading_open"]
    assert headings[-2:] == ["A", "B"]
    assert [t.content for t in found if t.type == "inline"][-1].startswith("Written by “learn brief”")
    shown = Page(page(house.brief(), "html"))
    assert "script" not in {tag for tag, _ in shown.tags}
    assert not [h for h in shown.all("href") if h.startswith("javascript")]


def test_pictures_in_a_plugin_s_text_are_not_fetched(house: House) -> None:
    house.technique()
    house.grade()
    house.plugins = [Adds({"A": "![seen](https://example.org/pixel.png)\n\n<img src=https://example.org/2>"})]
    assert "img" not in {tag for tag, _ in Page(page(house.brief(), "html")).tags}


@pytest.mark.parametrize("form", FORMS)
def test_a_pair_of_mistakes_is_quoted_as_a_guess(house: House, form: brief_page.Format) -> None:
    house.technique()
    pair = tuple(Diagnosis(id=name, kind="misconception", says="So.", perhaps=True) for name in ("k1", "k2"))
    house.grade(passed=False, outcome="fell_short", diagnosis=pair)
    text = page(house.brief("en"), form)
    assert text.count("Perhaps two things at once, one of them k") == 2
    assert "This is what k" not in text


# Texts


def test_the_templates_use_every_text_and_no_other() -> None:
    written = "".join(path.read_text("utf-8") for path in TEMPLATES.glob("brief.*.jinja"))
    code = Path(brief_page.__file__).read_text("utf-8")
    used = (
        set(re.findall(r'"(\w+)"', written)) | set(re.findall(r'"(\w+)"', code)) | set(re.findall(r"t\('(\w+)'", code))
    )
    used |= {f"outcome_{o}" for o in ("passed", "fell_short", "died", "not_gradable")}
    used |= {f"quiz_{s}" for s in ("open", "finished", "given_up")}
    used |= {"held", "failed", "not_started", "not_reached", "not_gradable"}  # of a claim
    used |= {"misconception", "convention"}  # of a diagnosis
    texts = set(all_texts("brief"))
    used |= {"language", *(key for key in texts if key.startswith("contained_"))}  # of a level that has a text
    assert texts - used == set()
    assert set(re.findall(r't\("(\w+)"[,)]', written)) - texts == set()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("outcome", ["passed", "fell_short", "died"])
def test_a_chinese_brief_has_the_same_parts_as_an_english_one(
    house: House, form: brief_page.Format, outcome: str, chinese: Callable[[str], str]
) -> None:
    house.technique()
    statuses = ("held", "failed", "died", "not_started", "not_reached", "not_gradable")
    house.grade(
        passed=outcome == "passed",
        outcome=outcome,
        properties=tuple(PropertyResult(id=s, claim=s, status=s) for s in statuses),
        holes=(HoleState(number=1, title="the sum", filled=False),),
        diagnosis=(Diagnosis(id="k1", kind="convention", says="So do others."),),
    )
    house.grade(passed=False, outcome="not_gradable")
    house.grade(passed=False, outcome="not_started")
    house.state.note("toys/mean", "gave_up")
    house.lab()
    house.state.record_quiz("toys/mean", 1, "0" * 64, 2, {"p": ("A", False)})
    english, chinese = page(house.brief("en"), form), page(house.brief("zh"), form, told=chinese)
    assert "平均数" in chinese
    assert "居中的数。" in chinese
    if form == "html":
        shape = [[tag for tag, _ in Page(text).tags] for text in (english, chinese)]
        assert [a["lang"] for text in (english, chinese) for tag, a in Page(text).tags if tag == "html"] == [
            "en",
            "zh-Hans",
        ]
    else:
        shape = [[t.type for t in tokens(text) if t.type != "softbreak"] for text in (english, chinese)]
    assert shape[0] == shape[1]


def test_a_language_without_texts_is_shown_in_english(house: House) -> None:
    house.technique()
    house.grade()
    assert page(house.brief("fr"), "html") == page(house.brief("en"), "html")


# Writing


def write(path: Path, brief: Brief, form: brief_page.Format = "md") -> None:
    write_page(path, page(brief, form, "b.files"), "b.files", beside(brief) if form == "md" else None)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_markdown_brief_has_its_files_beside_it(house: House, tmp_path: Path) -> None:
    house.technique()
    house.grade()
    house.lab()
    brief, folder = house.brief(), tmp_path / "out"
    folder.mkdir()
    write(folder / "b.md", brief)
    text = (folder / "b.md").read_text("utf-8")
    named = {str(t.attrs.get("href") or t.attrs.get("src")) for t in tokens(text) if t.type in ("link_open", "image")}
    linked = {name for name in named if not name.startswith("https:")}
    assert linked == set(contents(folder)) - {"b.md"}
    assert len(linked) == 2
    (command,) = [line for line in text.splitlines() if line.startswith("learn grade")]
    attempt = shlex.split(command)[4]
    assert (folder / attempt).read_text("utf-8") == FILLED


@pytest.mark.parametrize("form", FORMS)
def test_a_brief_is_written_over_by_its_next_edition(house: House, tmp_path: Path, form: brief_page.Format) -> None:
    house.technique()
    house.grade(passed=False)
    path = tmp_path / "b.out"
    write(path, house.brief(), form)
    first = path.read_bytes()
    write(path, house.brief(), form)
    assert path.read_bytes() == first
    house.grade(FILLED + "# better\n")
    write(path, house.brief(), form)
    assert path.read_bytes() != first
    assert not [name for name in contents(tmp_path) if name.startswith(".b.out")]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: b"my own words", "did not write it"),
        (lambda data: b"", "did not write it"),
        (lambda data: data + b"and a word of mine\n", "was changed after"),
        (lambda data: b"\n" + data, "did not write it"),
    ],
)
def test_a_file_of_someone_s_own_is_never_written_over(
    house: House, tmp_path: Path, spoil: Callable[[bytes], bytes], told: str
) -> None:
    house.technique()
    house.grade()
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "b.html"
    write(path, house.brief(), "html")
    path.write_bytes(spoil(path.read_bytes()))
    before = contents(folder)
    with pytest.raises(UsageProblem, match=told):
        write(path, house.brief())
    assert contents(folder) == before


def test_a_file_in_the_way_of_a_plot_is_left_alone(house: House, tmp_path: Path) -> None:
    house.technique()
    house.grade()
    house.lab()
    path = tmp_path / "b.md"
    write(path, house.brief())
    (picture,) = (tmp_path / "b.files").glob("*.png")
    picture.write_bytes(b"mine")
    with pytest.raises(UsageProblem, match=re.escape(f"{picture} is in the way")):
        write(path, house.brief())
    assert picture.read_bytes() == b"mine"


def test_a_place_where_nothing_can_be_written_is_told(house: House, tmp_path: Path) -> None:
    house.technique()
    house.grade()
    with pytest.raises(UsageProblem, match=re.escape(f"There is no folder {tmp_path / 'none'}")):
        write(tmp_path / "none" / "b.md", house.brief())
    with pytest.raises(UsageProblem, match="is not an ordinary file"):
        write(tmp_path, house.brief())
    (tmp_path / "b.files").write_text("mine")
    with pytest.raises(UsageProblem, match=r"b\.files is in the way"):
        write(tmp_path / "b.md", house.brief())
    with pytest.raises(EnvironmentProblem, match="Cannot write"):
        write(tmp_path / ("b" * 250 + ".md"), house.brief(), "html")


def test_a_link_to_a_brief_stays_a_link(house: House, tmp_path: Path) -> None:
    house.technique()
    house.grade()
    write(tmp_path / "b.html", house.brief(), "html")
    (tmp_path / "link.html").symlink_to(tmp_path / "b.html")
    house.grade(seed=8)
    write(tmp_path / "link.html", house.brief(), "html")
    assert (tmp_path / "link.html").is_symlink()
    assert "--seed 8" in (tmp_path / "b.html").read_text("utf-8")


def test_the_first_line_holds_the_digest_of_the_rest(house: House) -> None:
    house.technique()
    house.grade()
    for form in FORMS:
        head, _, rest = page(house.brief(), form).partition("\n")
        assert hashlib.sha256(rest.encode()).hexdigest() in head
