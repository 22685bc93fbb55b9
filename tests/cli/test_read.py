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
from groundup.cli.layout import width
from groundup.cli.read import joined, rendered, with_head
from groundup.cli.words import speak
from groundup.core.registry import Registry

LESSON = """# Scaling

Multiply by the *factor*, in the dtype of `x`.

```text
y = x * by          dy/dx = by
    |
    +-- the factor
```

| x | y |
|---|---|
| 1 | 2 |
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")


def lines(markdown: str) -> list[str]:
    import click

    return click.unstyle(rendered(markdown)).splitlines()


def test_piped_it_is_the_markdown_itself(learn: Any, toy: Path) -> None:
    result = learn("read", "scale")
    assert (result.exit_code, result.stdout) == (0, (toy / "lesson.md").read_text())


def test_the_lesson_comes_in_the_language_asked_for_or_in_english(learn: Any, plugins: Any) -> None:
    plugins.technique(lesson__zh__md="never looked at")
    folder = plugins.technique("other")
    (folder / "lesson.zh.md").write_text("# 缩放\n")
    assert learn("read", "other", "--lang", "zh").stdout == "# 缩放\n"
    assert learn("read", "other", "--lang", "fr").stdout.startswith("# Scaling\n")


def test_formulas_and_drawings_keep_their_shape() -> None:
    shown = lines(LESSON)
    start = shown.index(" y = x * by          dy/dx = by")
    assert shown[start : start + 3] == [" y = x * by          dy/dx = by", "     |", "     +-- the factor"]
    assert "Multiply by the factor, in the dtype of x." in shown


def test_nothing_is_wider_than_the_terminal_in_any_language() -> None:
    text = "A paragraph of many words. " * 9 + "\n\n" + "一段很长的中文文字，里面没有空格。" * 9 + "\n"
    shown = lines(text)
    assert max(map(width, shown)) <= 60
    assert min(map(width, shown[6:9])) >= 56  # Chinese fills its lines


def test_line_ends_inside_chinese_are_no_gaps() -> None:
    assert joined("采样策略\n出发，\n“走”\n开\n") == "采样策略出发，“走”开\n"
    assert joined("按 gamma\n衰减\n") == "按 gamma\n衰减\n"
    assert joined("# 标题\n正文\n") == "# 标题\n正文\n"
    assert joined("```text\n一\n二\n```\n三\n四\n") == "```text\n一\n二\n```\n三四\n"


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
