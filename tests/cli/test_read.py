from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.cli import context
from groundup.cli.read import with_head
from groundup.cli.words import speak
from groundup.core.registry import Registry


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")


def test_piped_it_is_the_markdown_itself(learn: Any, toy: Path) -> None:
    result = learn("read", "scale")
    assert (result.exit_code, result.stdout) == (0, (toy / "lesson.md").read_text())


def test_the_lesson_comes_in_the_language_asked_for_or_in_english(learn: Any, plugins: Any) -> None:
    plugins.technique(lesson__zh__md="never looked at")
    folder = plugins.technique("other")
    (folder / "lesson.zh.md").write_text("# 缩放\n")
    assert learn("read", "other", "--lang", "zh").stdout == "# 缩放\n"
    assert learn("read", "other", "--lang", "fr").stdout.startswith("# Scaling\n")


def test_a_terminal_gets_it_rendered(toy: Path, here: Path) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("learn")), "read", "scale"],
            env={**os.environ, "PYTHONPATH": str(toy.parent), "TERM": "xterm", "NO_COLOR": ""},
            stdin=theirs,
            stdout=theirs,
        )
        os.close(theirs)
        shown = screen.read(1 << 16).decode()
    assert ended.returncode == 0
    assert "\x1b[3mfactor\x1b[0m" in shown
    assert "# Scaling" not in shown


@pytest.mark.parametrize(
    ("fields", "head"),
    [
        ({"level": 2, "minutes": 40}, "level 2 of 5, 40 minutes"),
        ({"level": 4}, "level 4 of 5"),
        ({"minutes": 40, "requires": ("rl/gae", "not/written")}, "40 minutes; builds on gae"),
    ],
)
def test_the_lesson_s_head_says_level_minutes_and_what_it_builds_on(
    toy: Path, fields: dict[str, Any], head: str
) -> None:
    technique = context.registry().technique("scale").model_copy(update=fields)
    assert with_head("# Scaling\n\nMultiply.\n", technique) == f"# Scaling\n\n*{head}*\n\nMultiply.\n"


def test_a_lesson_without_level_and_minutes_has_no_such_line(toy: Path) -> None:
    technique = context.registry().technique("scale")
    assert with_head("# Scaling\n\nMultiply.\n", technique) == "# Scaling\n\nMultiply.\n"


def test_the_head_is_chinese_where_chinese_is_spoken() -> None:
    speak("zh")
    shown = with_head("# 近端策略优化\n正文\n", Registry().technique("ppo"))
    assert re.match(r"# 近端策略优化\n\n\*难度 \d/5，约 \d+ 分钟；先修 gae\*\n正文\n", shown)


def test_a_technique_without_its_lesson_is_the_plugins_fault(learn: Any, toy: Path) -> None:
    (toy / "lesson.md").unlink()
    result = learn("read", "scale")
    assert result.exit_code == 3
    assert result.stderr == (
        f"learn: The lesson of toys/scale cannot be read: {toy / 'lesson.md'}: No such file or directory.\n"
    )


def test_an_unknown_name_gets_a_did_you_mean(learn: Any, toy: Path) -> None:
    result = learn("read", "scael")
    assert (result.exit_code, result.stderr) == (2, "learn: No technique 'scael'. Did you mean 'toys/scale'?\n")


def test_json_holds_the_lesson_and_what_it_asks_of_a_learner(learn: Any, toy: Path) -> None:
    told = json.loads(learn("read", "scale", "--json").stdout)
    assert told["markdown"] == (toy / "lesson.md").read_text()
    assert (told["technique"], told["requires"], told["path"]) == ("toys/scale", [], str(toy / "lesson.md"))
    assert {"level", "minutes"} <= set(told)


FIGURES = """def line(draw):
    draw.axes().plot([0, 1], [0, 1])
"""
SHOWN = "# Scaling\n\nOf $x_{t+1}$, {{one.y}}.\n\n![A line rises.](figure:line)\n"
EXAMPLES = """[[example]]
id = "one"
run = "y = 1.5"
gives.y = 1.5
"""


@pytest.fixture
def drawn(toy: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy with a lesson that has a formula, a quotation and a figure."""
    for name, text in {"lesson.md": SHOWN, "figures.py": FIGURES, "examples.toml": EXAMPLES}.items():
        (toy / name).write_text(text, encoding="utf-8")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "cache"))
    return toy


def test_quotations_are_filled_in_wherever_a_lesson_is_read(learn: Any, drawn: Path) -> None:
    assert "$x_{t+1}$, 1.5.\n" in learn("read", "scale").stdout
    assert "$x_{t+1}$, 1.5.\n" in json.loads(learn("read", "scale", "--json").stdout)["markdown"]


def test_a_page_is_written_with_formulas_and_figures(learn: Any, drawn: Path, here: Path) -> None:
    result = learn("read", "scale", "--out", "scale.html")
    assert (result.exit_code, result.stdout) == (0, "Wrote scale.html.\n")
    page = (here / "scale.html").read_text()
    assert page.startswith("<!-- Written by 'learn read'; sha256 of the rest: ")
    assert "<msub><mi>x</mi>" in page
    assert "<svg" in page
    assert "<figcaption>A line rises.</figcaption>" in page


def test_a_page_of_ours_is_renewed_and_nothing_else_is_overwritten(learn: Any, drawn: Path, here: Path) -> None:
    assert learn("read", "scale", "--out", "scale.html").exit_code == 0
    assert learn("read", "scale", "--out", "scale.html").exit_code == 0
    page = here / "scale.html"
    page.write_text(page.read_text() + "<!-- my note -->")
    changed = learn("read", "scale", "--out", "scale.html")
    assert changed.exit_code == 2
    assert "was changed after 'learn read' had written it" in changed.stderr
    page.write_text("my own")
    other = learn("read", "scale", "--out", "scale.html")
    assert other.exit_code == 2
    assert "is there already, and 'learn read' did not write it" in other.stderr
    assert page.read_text() == "my own"


def test_without_a_browser_it_says_where_the_page_is(learn: Any, drawn: Path, here: Path) -> None:
    result = learn("read", "scale", "--open")
    assert result.exit_code == 0
    assert result.stdout.startswith("There is no browser to open here. The page is ")
    assert (here / "cache" / "groundup" / "lessons" / "toys-scale.en.html").is_file()


def test_with_a_browser_the_page_is_opened(learn: Any, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert learn("read", "scale", "--open").stdout.startswith("Opened ")
    assert opened[0].startswith("file:///")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["read"], "Which lesson?"),
        (["read", "scale", "--all", "--out", "site"], "--all takes all lessons: leave out scale."),
        (["read", "--all"], "Where to?"),
        (["read", "scale", "--json", "--open"], "leave out --open and --out"),
        (["read", "scale", "--out", "nowhere/a.html"], "There is no folder"),
    ],
)
def test_what_does_not_go_together_is_told(learn: Any, drawn: Path, arguments: list[str], says: str) -> None:
    result = learn(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_formula_that_cannot_be_shown_is_told_with_its_line(learn: Any, drawn: Path) -> None:
    (drawn / "lesson.md").write_text("# Scaling\n\n$$\n\\foo\n$$\n")
    result = learn("read", "scale", "--out", "scale.html")
    assert result.exit_code == 3
    assert f"{drawn / 'lesson.md'}:3: " in result.stderr
    assert "Unknown command" in result.stderr


def test_reading_in_a_terminal_needs_neither_matplotlib_nor_torch(toy: Path) -> None:
    code = (
        "import sys\n"
        "from groundup.grader.lessons.terminal import rendered\n"
        "rendered('# A\\n\\n$x$\\n')\n"
        "print([m for m in ('torch', 'matplotlib', 'numpy', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
