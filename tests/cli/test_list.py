"""``learn list``: an overview that fits a screen or two, however many techniques there are; one word shows the rest."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import click
import pytest

from groundup.cli import context
from groundup.cli import list as list_module
from groundup.cli.index import DayEntry, Index, RoadmapEntry, TechniqueEntry, made_index
from groundup.cli.layout import width
from groundup.core.registry import Registry

TRACKS = ("compression", "data", "kernels", "multimodal", "peft", "planning", "rl-systems")
MOST_LINES = 60
ROADMAP = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Day, Roadmap


@hookimpl
def roadmaps():
    return [Roadmap(id="short", title="A short one", days=[Day(number=1, title="One", techniques=["toys/scale"])])]
"""


def entry(identity: str) -> TechniqueEntry:
    level = 1 + len(identity) % 5
    return TechniqueEntry(identity, 1, "A title of a few words", "What it does, in a sentence or two. " * 3, level, 90)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Index:
    """120 techniques, among them all that the days name."""
    real = made_index(Registry(), "en")
    named = {i for roadmap in real.roadmaps.values() for day in roadmap.days for i in day.techniques}
    tracks = sorted({i.partition("/")[0] for i in [*named, *real.techniques]} | {*TRACKS})
    further = (f"{track}/further-{n}" for n in itertools.count(1) for track in tracks)
    missing = 120 - len(named | real.techniques.keys())
    ids = sorted({*named, *real.techniques, *itertools.islice(further, missing)})
    made = Index({i: entry(i) for i in ids}, real.roadmaps)
    monkeypatch.setattr(list_module, "index", lambda: made)
    monkeypatch.setattr(context, "index", lambda: made)
    return made


@pytest.mark.parametrize("columns", ["60", "80", "100"])
def test_an_overview_of_120_techniques_takes_less_than_60_lines(
    learn: Any, many: Index, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = learn("list").stdout.splitlines()
    assert len(many.techniques) == 120
    assert len(lines) < MOST_LINES
    assert max(map(width, lines)) <= int(columns)
    for day in many.roadmaps["fourteen-days"].days:
        assert f"  {day.name:<8}{day.title}" in lines
    for track, techniques in many.tracks().items():
        (line,) = [ln for ln in lines if ln.split()[:2] == [track, str(len(techniques))]]
        assert line.endswith(("…", techniques[-1].name))


def test_all_of_them_are_listed_on_demand(learn: Any, many: Index) -> None:
    words = learn("list", "--all").stdout.split()
    assert {t.name for t in many.techniques.values()} <= set(words)
    for track, techniques in many.tracks().items():
        lines = learn("list", track).stdout.splitlines()
        heads = [ln.split()[0] for ln in lines if ln.startswith("      ") and ln[6] != " "]
        assert heads == [t.name for t in techniques]


def test_days_that_are_whole_come_first_and_those_without_any_come_last(learn: Any) -> None:
    text = click.unstyle(learn("list").stdout)
    order = [line.split()[0] for line in text.splitlines() if line.startswith("  day-")]
    found = made_index(Registry(), "en")
    days = found.roadmaps["fourteen-days"].days
    whole = [d.name for d in days if d.techniques and all(i in found.techniques for i in d.techniques)]
    none = [d.name for d in days if d.techniques and not any(i in found.techniques for i in d.techniques)]
    assert whole
    assert order[: len(whole)] == whole
    assert order[len(order) - len(none) :] == none
    assert sorted(order) == sorted(d.name for d in days)


def test_of_a_day_in_part_what_is_lacking_is_said(learn: Any, monkeypatch: pytest.MonkeyPatch, many: Index) -> None:
    days = (DayEntry("day-1", "Both", ("rl/gae", "rl/mdp")), DayEntry("day-2", "Whole", ("alignment/ppo",)))
    found = Index(
        {i: entry(i) for i in ("alignment/ppo", "rl/gae")}, {"fourteen-days": RoadmapEntry("fourteen-days", "", days)}
    )
    monkeypatch.setattr(list_module, "index", lambda: found)
    shown = learn("list").stdout.partition("\n\n")[2].partition("\n\n")[0]
    assert shown == (
        "  day-2   Whole\n          ppo; level 4 of 5, 90 minutes\n"
        "  day-1   Both\n          gae; level 2 of 5, 90 minutes; not written yet: mdp"
    )


def test_two_techniques_of_one_name_are_told_apart(learn: Any, monkeypatch: pytest.MonkeyPatch, many: Index) -> None:
    day = DayEntry("day-1", "Both", ("rl/ppo", "rl/gae"))
    ids = ("alignment/ppo", "rl/gae", "rl/ppo")
    found = Index({i: entry(i) for i in ids}, {"fourteen-days": RoadmapEntry("fourteen-days", "", (day,))})
    monkeypatch.setattr(list_module, "index", lambda: found)
    assert "\n          rl/ppo, gae; level 2 of 5, 180 minutes\n" in learn("list").stdout


def test_level_and_minutes_stand_beside_what_there_is(learn: Any, monkeypatch: pytest.MonkeyPatch, many: Index) -> None:
    ids = ("alignment/ppo", "rl/gae", "rl/unsaid")
    entries = {i: entry(i) for i in ids[:2]} | {"rl/unsaid": TechniqueEntry("rl/unsaid", 1, "", "What it does.")}
    day = DayEntry("day-1", "All", ids)
    found = Index(entries, {"fourteen-days": RoadmapEntry("fourteen-days", "", (day,))})
    monkeypatch.setattr(list_module, "index", lambda: found)
    assert "\n          ppo, gae, unsaid; level 2 to 4 of 5, 180 minutes\n" in learn("list").stdout
    words = " ".join(learn("list", "rl").stdout.split())
    assert "two. (level 2 of 5, 90 minutes) unsaid What it does." in words


def test_the_roadmap_that_is_followed_is_shown_and_others_are_named(
    learn: Any, plugins: Any, toy: Path, here: Path
) -> None:
    plugins.install(ROADMAP)
    text = learn("list").stdout
    assert text.startswith("fourteen-days  Fourteen days\n")
    assert "\nother roadmaps\n  short  A short one\n" in text
    (here / "learn.toml").write_text('roadmap = "short"\n')
    text = learn("list").stdout
    assert text.startswith("short  A short one\n\n  day-1   One\n          scale\n")
    assert "\nother roadmaps\n  fourteen-days  Fourteen days\n" in text
    (here / "learn.toml").write_text('roadmap = "of no plugin"\n')
    assert "roadmaps\n  fourteen-days  Fourteen days\n" in learn("list").stdout


def test_a_track_that_is_none_is_told_with_the_nearest(learn: Any, toy: Path) -> None:
    result = learn("list", "toy")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "learn: No track 'toy'. Did you mean 'toys'?\n"
    assert learn("list", "x", "--lang", "zh").stderr == "learn: 没有名为 'x' 的方向。'learn list' 列出所有内容。\n"


def test_a_track_and_everything_are_not_asked_for_at_once(learn: Any) -> None:
    result = learn("list", "rl", "--all")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "TRACK names one track, --all shows them all" in result.stderr


def test_a_track_as_data(learn: Any, toy: Path) -> None:
    assert [*json.loads(learn("list", "toys", "--json").stdout)["tracks"]] == ["toys"]
    assert [*json.loads(learn("list", "--json").stdout)["tracks"]][-1] == "training"
