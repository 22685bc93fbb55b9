"""That the commands say everything in the learner's language."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from babel.messages import Catalog

from groundup.cli import words
from groundup.cli.context import registry
from groundup.cli.messages import compiled
from groundup.cli.words import ntr, speak, told
from groundup.core.errors import AttemptDied, AttemptRaised, UnknownName, UsageProblem
from groundup.core.messages import Message, lines_of
from groundup.core.registry import Registry
from groundup.core.testing.compare import EXACT, Mismatch, assert_close
from groundup.grader.judging.scoring import cannot_be_loaded
from groundup.grader.learner.picture import CHINESE_FONTS
from groundup.grader.process.text import read_attempt
from groundup.grader.process.whereabouts import code_lines

CHINESE = re.compile(r"[\u4e00-\u9fff]")

# What is said elsewhere, and shown here


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        (
            UnknownName(Message("technique"), "pp0", ["alignment/ppo"]).message,
            "没有名为 'pp0' 的技术。你要的是 'alignment/ppo' 吗？",
        ),
        (
            UnknownName(Message("technique"), "ppo", ["rl/ppo", "a/ppo", "b/ppo"]).message,
            "没有名为 'ppo' 的技术。你要的是 'rl/ppo'、'a/ppo' 或 'b/ppo' 吗？",
        ),
        (UnknownName(Message("roadmap"), "x", ["fourteen-days"]).message, "没有名为 'x' 的路线图。"),
        (
            cannot_be_loaded(
                AttemptDied(
                    "timeout", Message("a call used more than the {seconds:g} s of CPU time it may use", seconds=9)
                )
            ),
            "无法加载该文件：超时：一次调用用掉的 CPU 时间超过了允许的 9 秒。",
        ),
        (
            cannot_be_loaded(
                AttemptRaised(("SyntaxError", "Exception"), "invalid syntax", code_lines([(3, "", "def f(:")]))
            ),
            "无法加载该文件：SyntaxError: invalid syntax（第 3 行：def f(:）",
        ),
        (lines_of(code_lines([(2, "f", "g()"), (7, "gae", "return x")]))[1], "第 7 行，gae 中：return x"),
        (Message("it raised {error}", error="ValueError: no such thing"), "抛出了 ValueError: no such thing"),
        ("the lesson", "课文"),
    ],
)
def test_what_others_say_is_told_in_chinese(text: str, chinese: str) -> None:
    assert told(text) == text
    speak("zh")
    assert told(text) == chinese


def test_what_nobody_marked_stays_as_it_is() -> None:
    speak("zh")
    for text in ("", "Something else.", "a {brace} and a : colon", "没有", "No technique 'x'."):
        assert told(text) == text
    assert told(Message("No {kind} {name!r}.", kind="memory", name="end")) == "没有名为 'end' 的memory。"


def test_a_language_counts_as_it_counts() -> None:
    assert [ntr("1 hint", "{count} hints", count) for count in (1, 2)] == ["1 hint", "2 hints"]
    speak("zh")
    assert [ntr("1 hint", "{count} hints", count) for count in (1, 2)] == ["提示 1 条", "提示 2 条"]


def test_the_registry_and_the_judge_are_told_in_chinese(tmp_path: Path) -> None:
    registry, speaks_of = Registry(), {}
    planned = (name for roadmap in registry.roadmaps.values() for day in roadmap.days for name in day.techniques)
    for name in ("pqo", "nothing-like-it", *[name for name in planned if name not in registry.techniques][:1]):
        with pytest.raises(UsageProblem) as caught:
            registry.technique(name)
        speaks_of[name] = caught.value.message
    with pytest.raises(UsageProblem) as caught:
        registry.day("day-15", "fourteen-days")
    speaks_of["day"] = caught.value.message
    for name, content in (("latin", b"caf\xe9"), ("long", b"#" * (1 << 18))):
        file = tmp_path / f"{name}.py"
        file.write_bytes(content)
        with pytest.raises(UsageProblem) as caught:
            read_attempt(file)
        speaks_of[name] = caught.value.message
    speak("zh")
    for text in speaks_of.values():
        assert re.search(CHINESE, told(text))
        assert english_left(told(text)) == []


def test_a_difference_is_told_in_chinese() -> None:
    with pytest.raises(Mismatch) as caught:
        assert_close(torch.ones(2, 1), torch.zeros(2, 1), dtype=torch.float32, tolerance=EXACT)
    speak("zh")
    assert told(caught.value.args[0]) == "结果在 [0, 0] 处不同"
    assert told(caught.value.where or "") == "[0, 0]：期望 0，实际 1"
    with pytest.raises(Mismatch) as caught:
        assert_close(None, torch.zeros(2, 1), dtype=torch.float32, tolerance=EXACT)
    assert told(caught.value.args[0]) == "结果不是张量"
    assert told(caught.value.expected or "") == "形状为 (2, 1) 的张量"


# What each command prints


def english_left(text: str) -> list[str]:
    """Return the runs of four English words or more, those of commands, code, paths, ids and fonts left out."""
    text = re.sub(r"(?m)^ *(\./)?learn [^\u4e00-\u9fff]*?(  |$)", " ", text)  # a command to type
    for font in CHINESE_FONTS:  # 'learn doctor' names the one that is installed
        text = text.replace(font, "#")
    text = re.sub(r"'[^']*'|\S*[/\\=]\S*|--[a-z]+", "#", text)
    return re.findall(r"[A-Za-z][\w'-]*(?: +[A-Za-z][\w'-]*){3,}", text)


def test_what_counts_as_english() -> None:
    assert english_left("Here are four words.") == ["Here are four words"]
    assert english_left("  learn hint scale 1  one more of the steps") == ["one more of the steps"]
    assert english_left("rl/gae 在 workspace/rl/gae.py 里；'learn start a b' 会建一个 x = a b c") == []


@pytest.fixture
def workspace(learn: Any, toy: Path, here: Path, grading: None) -> Path:
    """A workspace with the toy technique, all of whose texts have their Chinese."""
    properties = toy / "properties.py"
    text = properties.read_text(encoding="utf-8")
    properties.write_text(text.replace('square.")', 'square.", zh="两次等于乘以平方。")'), encoding="utf-8")
    mistakes = toy / "misconceptions.toml"
    text = mistakes.read_text(encoding="utf-8")
    mistakes.write_text(
        text.replace('"One is treated apart."', '{ en = "One.", zh = "一被特殊对待。" }'), encoding="utf-8"
    )
    (toy / "lesson.zh.md").write_text("# 缩放\n\n乘以系数。\n", encoding="utf-8")
    learn("start", "scale")
    return here / "workspace"


WRONG = "x * factor * factor"
RIGHT = "x * factor"


def attempt_with(workspace: Path, toy: Path, product: str) -> None:
    solution = (toy / "solution.py").read_text()
    (workspace / "toys" / "scale.py").write_text(solution.replace("x * factor", product))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["start", "scale"], 0, "已经存在，原样保留"),
        (["start", "day-14"], 0, "这一天没有新的技术。"),
        (["start", "14"], 2, "没有名为 '14' 的日程或技术。你要的是 'day-14' 吗？"),
        (["read", "scale"], 0, "乘以系数。"),
        (["read", "day-4"], 2, "这里需要一项技术。这一天的技术有 gae 和 actor-critic。"),
        (["grade", "scale"], 1, "3 条性质中满足了 1 条：得分 33%。"),
        (["grade", "--all"], 1, "这正是 squares 的做法。"),
        (["grade", "--attempt", "x.py"], 2, "请同时指明技术，例如 'learn grade ppo --attempt x.py'"),
        (["grade", "scale", "--seed", "-1"], 2, "'-1' 不是 0 到 "),
        (["grade", "scale", "--attempt", "none.py"], 2, "没有文件 none.py。"),
        (["hint", "scale"], 0, "第 1 条提示，共 3 条。"),
        (["hint", "scale", "3"], 2, "toys/scale 有 2 个空，编号为 1 到 2，没有第 3 个空。"),
        (["hint", "gae"], 2, "还没有 workspace/rl/gae.py：'learn start gae' 会把练习框架放到那里。"),
        (["solution", "scale"], 2, "你还没有通过 toys/scale。"),
        (["reset", "scale"], 0, "你的作答保存为 workspace/toys/scale.1.py。"),
        (["status"], 0, "已开始"),
        (["list"], 0, "尚未编写"),
        (["run", "scale"], 2, "toys/scale 没有实验。"),
        (["run", "gae"], 2, "这里没有你对 rl/gae 的作答。"),
        (["quiz", "scale"], 2, "toys/scale 还没有测验。"),
        (["brief"], 0, "目前还没有任何证明"),
        (["brief", "--out", "brief.xyz"], 2, "brief.xyz 不以 .md 或 .html 结尾"),
        (["doctor"], 0, "启动一个进程，首次用时"),
        (["grade", "scael"], 2, "没有名为 'scael' 的技术。你要的是 'toys/scale' 吗？"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_speaks_chinese(
    learn: Any, workspace: Path, toy: Path, arguments: list[str], code: int, says: str
) -> None:
    attempt_with(workspace, toy, WRONG)
    result = learn(*arguments, "--lang", "zh")
    assert result.exit_code == code
    assert says in result.output.replace("\n    ", "")
    assert english_left(result.output) == []


def test_a_whole_verdict_is_told_in_chinese(learn: Any, workspace: Path, toy: Path) -> None:
    (workspace / "toys" / "scale.py").write_text(
        (toy / "solution.py").read_text().replace("return result", 'print("one two")\n    return result + 1')
    )
    output = learn("grade", "scale", "--lang", "zh").output
    for part in (
        "✗ 乘以一不变。",
        "结果在 [0] 处不同",
        "期望      torch.tensor",
        "实际      torch.tensor",
        "位置      [0]：期望 ",
        "它在这个用例上的输出：\n        one two",
        "· 1 条性质未轮到：要先满足别的性质",
        "3 条性质中满足了 0 条：得分 0%。",
        "，运行于",
        "第 2 个空的提示",
    ):
        assert part in output
    assert english_left(output) == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "def scale(x, by):\n    while True:\n        pass\n",
            "作答的进程终止了；此前 3 条性质中满足了 0 条：得分 0%。",
        ),
        ("import sys\ndef scale(x, by):\n    sys.exit(3)\n", "抛出了 SystemExit: 3"),
        ("import os\ndef scale(x, by):\n    os._exit(3)\n", "退出：进程自行结束，退出码 3"),
        ("", "无法加载该文件：NameError: 文件必须定义 'scale'，但它什么也没有定义"),
        (None, "未开始：所有的空都还没填。"),
    ],
    ids=["hangs", "raises", "exits", "empty", "stub"],
)
def test_every_way_to_fall_short_is_told_in_chinese(learn: Any, workspace: Path, source: str | None, says: str) -> None:
    techniques = registry().techniques
    techniques["toys/scale"] = techniques["toys/scale"].model_copy(update={"call_seconds": 0.5})
    if source is not None:
        (workspace / "toys" / "scale.py").write_text(source)
    result = learn("grade", "scale", "--lang", "zh")
    assert result.exit_code == 1
    assert says in result.output.replace("\n          ", "")
    assert english_left(result.output) == []


def test_a_pass_and_what_comes_after_it_are_told_in_chinese(learn: Any, workspace: Path, toy: Path) -> None:
    attempt_with(workspace, toy, RIGHT)
    output = learn("grade", "scale", "--lang", "zh").output
    assert "通过：3 条性质全部满足。" in output
    assert "对照参考实现" in output
    assert english_left(output) == []
    assert re.search("toys/scale +通过 · 评判过 1 次", learn("status", "--lang", "zh").output)
    assert "已写入 brief.md：1 项技术，" in learn("brief", "--out", "brief.md", "--lang", "zh").output


def test_a_lab_is_told_in_chinese(learn: Any, workspace: Path) -> None:
    output = learn("run", "gae", "--reference", "--quick", "--lang", "zh").output
    assert re.search(r"(?m)^ +参考实现( |$)", output)
    assert "快速运行：不判断是否达标。" in output
    assert english_left(output) == []


# Which language


def test_the_language_of_learn_toml_counts(learn: Any, workspace: Path) -> None:
    settings = workspace / "learn.toml"
    settings.write_text(settings.read_text().replace('lang = "en"', 'lang = "zh"'))
    assert "接下来\n" in learn().output
    assert learn("solution", "scale").stderr.startswith("learn: 你还没有通过 toys/scale。")
    assert learn("gardae").stderr == "learn: 没有名为 'gardae' 的命令。你要的是 'grade' 吗？\n"
    assert "Next\n" in learn("status", "--lang", "en").output


def test_a_language_lasts_for_one_command(learn: Any, workspace: Path) -> None:
    assert "接下来" in learn("status", "--lang", "zh").output
    assert "Next" in learn("status").output


def test_a_language_that_the_commands_do_not_speak_is_told_of_once(learn: Any, workspace: Path) -> None:
    for _ in range(2):
        result = learn("status", "--lang", "tlh")
        assert result.stderr == (
            "learn: the commands are available in en and zh, not in 'tlh': "
            "texts without a translation are in English.\n"
        )
        assert result.stdout == learn("status").stdout


def test_a_broken_learn_toml_does_not_keep_a_command_from_running_that_needs_none(learn: Any, workspace: Path) -> None:
    (workspace / "learn.toml").write_text("lang = 3\n")
    result = learn("doctor")
    assert result.exit_code == 3
    assert "Input should be a valid string" in result.stdout


def test_english_reads_no_catalogue_and_loads_no_torch() -> None:
    code = "import gettext, sys; from groundup.cli.entry import main; sys.argv[1:] = ['--help']\n"
    code += "try: main()\nfinally: print('torch' in sys.modules, gettext._translations)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=True)
    assert done.stdout.endswith("False {}\n")


def test_english_needs_no_catalogue(learn: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    help_text = learn("grade", "--help").output
    monkeypatch.setattr(words, "LOCALE", tmp_path)
    assert learn("grade", "--help").output == help_text
    assert learn("grade", "--help", "--lang", "zh").output.endswith(help_text)
    assert learn("grade", "--sead").stderr.endswith("Error: No such option '--sead'. Did you mean '--seed'?\n")


# Plugins' own catalogues

GREETS = '''
import click
from groundup.core.errors import UsageProblem
from groundup.core.hookspecs import hookimpl
from groundup.core.messages import Message


@click.command("greet")
@click.argument("name")
@click.option("--loud", is_flag=True, help="Shout.")
def greet(name, loud):
    """Say hello to NAME."""
    raise UsageProblem("Hello {name}, {rest}", name=name, rest=Message("the lesson"))


@hookimpl
def commands():
    return [greet]
'''


@pytest.fixture
def greeting(plugins: Any) -> Path:
    """A plugin with a command, and its folder for catalogues."""
    folder: Path = plugins.install(GREETS) / "locale" / "zh" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    return folder


def catalogue() -> bytes:
    found = Catalog(locale="zh")
    for english, chinese in {
        "Hello {name}, {rest}": "{name}，你好：{rest}",
        "Say hello to NAME.": "向某人问好。",
        "Shout.": "大声。",
        "the lesson": "别的课文",
    }.items():
        found.add(english, chinese)
    return compiled(found)


def test_a_plugin_s_catalogue_is_asked_after_ours(learn: Any, greeting: Path, here: Path) -> None:
    (greeting / "greets.mo").write_bytes(catalogue())
    assert learn("greet", "Ada", "--lang", "en").exit_code == 2
    assert learn("--lang", "zh", "greet", "Ada").stderr == "learn: Ada，你好：课文\n"
    help_text = learn("--lang", "zh", "greet", "--help").output
    assert help_text.startswith("用法：learn greet [选项] 姓名\n")
    assert "向某人问好。" in help_text
    assert "  --loud      大声。" in help_text
    assert learn("greet", "Ada").stderr == "learn: Hello Ada, the lesson\n"


def test_a_plugin_without_a_catalogue_speaks_english(learn: Any, plugins: Any, here: Path) -> None:
    plugins.install(GREETS)
    assert learn("--lang", "zh", "greet", "Ada").stderr == "learn: Hello Ada, 课文\n"
    assert "Say hello to NAME." in learn("--lang", "zh", "greet", "--help").output


@pytest.mark.parametrize("data", [b"", b"\xde\x12\x04\x95", b"nonsense" * 9])
def test_a_damaged_catalogue_is_named_and_the_rest_goes_on(learn: Any, greeting: Path, data: bytes) -> None:
    (greeting / "greets.mo").write_bytes(data)
    result = learn("--lang", "zh", "greet", "Ada")
    assert f"learn: 无法读取 {greeting / 'greets.mo'}：" in result.stderr
    assert result.stderr.endswith("learn: Hello Ada, 课文\n")
    assert learn("greet", "Ada").stderr == "learn: Hello Ada, the lesson\n"


def test_a_verdict_that_was_given_in_english_is_shown_in_chinese(learn: Any, workspace: Path, toy: Path) -> None:
    attempt_with(workspace, toy, WRONG)
    assert "the result differs" in learn("grade", "scale").output
    assert "结果在 [0] 处不同" in learn("brief", "--lang", "zh").output
    assert "the result differs at [0]" in learn("brief").output
