from __future__ import annotations

from typing import Any

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.languages import check, compare_lessons


def told(toy: Any) -> list[str]:
    return check(toy.technique, toy.registry)[1]


def test_the_same_in_both_languages_is_clean(toy: Any) -> None:
    assert check(toy.technique, toy.registry) == ("English and Chinese", [])


def test_english_alone_is_a_note_and_no_problem(toy: Any) -> None:
    (toy.folder / "lesson.zh.md").unlink()
    toy.spoil("__init__.py", ', "zh": "减半"', "")
    detail, problems = check(toy.technique, toy.registry)
    assert (detail.partition(":")[0], problems) == ("English alone", [])


def test_what_comes_with_groundup_needs_both(monkeypatch: pytest.MonkeyPatch, toy: Any) -> None:
    gae: Technique = Registry().technique("gae").model_copy()
    monkeypatch.setattr(gae.files, "folder", toy.folder)
    (toy.folder / "lesson.zh.md").unlink()
    (found,) = check(gae, toy.registry)[1]
    assert found == f"there is no Chinese lesson: expected it at {toy.folder / 'lesson.zh.md'}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## 算例\n", "### 算例\n", "part 3 begins '###'"),
        ("\n## 来源\n\n- arXiv:1234.56789\n", "", "headings, items, rows, figures and formulas"),
        ("assert 3 / 2 == 1.5", "assert 3 / 2 == 1.5  # 对", "this code block is not that of"),
        ("`3 // 2`", "`3/2`", "`code`: '3 // 2'"),
        ("arXiv:1234.56789", "arXiv:1234.56780", "sources: 'arXiv:1234.56789'"),
        ("3 的一半是 1.5", "3 的一半是 1.6", "the number 1.6 is not in"),
        ("3 的一半是 1.5", "其一半", "is lost"),
    ],
)
def test_lessons_that_differ_are_found(toy: Any, old: str, new: str, says: str) -> None:
    toy.spoil("lesson.zh.md", old, new)
    problems = told(toy)
    assert any(says in problem for problem in problems), problems
    assert all(problem.startswith(f"{toy.folder}/lesson.zh.md") for problem in problems)


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("__init__.py", ', "zh": "一切的一半。"', "", "headline lacks 'zh'"),
        ("__init__.py", ', "zh": "3 的一半？"', ', "zh": "how much is half"', "the Chinese is not translated"),
        ("properties.py", ', zh="两个一半合成整体。"', "", "its claim lacks 'zh'"),
        ("properties.py", 'zh="两个一半合成整体。"', 'zh="Two halves are the whole."', "same in both languages"),
        ("misconceptions.toml", ', zh = "四分之一。"', "", "a-quarter lacks 'zh'"),
        ("quiz.yaml", ', zh: "{x} 的一半？"', "", "half-of-it.text lacks 'zh'"),
        ("quiz.yaml", 'zh: "{answer}。"', 'zh: "{answer:.3g}。"', "half-of-it.explanation has other parameters"),
        ("quiz.yaml", "zh: 它是 1。", "zh: 它是 2。", "what-is-lost.explanation has other numbers"),
        ("lab.py", ', "zh": "步"', "", "this text lacks 'zh'"),
        ("lab.py", '{"en": "step", "zh": "步"}', '"step"', "'step' is in one language alone"),
    ],
)
def test_texts_that_lack_a_language_are_found(toy: Any, file: str, old: str, new: str, says: str) -> None:
    line = toy.spoil(file, old, new).rpartition(":")[2]
    found = next(problem for problem in told(toy) if says in problem)
    path, _, rest = found.partition(": ")
    assert path.startswith(f"{toy.folder}/{file}:"), rest
    assert abs(int(path.rpartition(":")[2]) - int(line)) <= 8  # the line of the text, or of its table


def test_a_term_that_the_glossary_translates_otherwise_is_found_where_it_stands(toy: Any) -> None:
    toy.spoil("lesson.md", "- Integers:", "- Gradients of a clipped ratio:")
    toy.spoil("lesson.zh.md", "- 整数：", "- 截断后的比值的梯度：")
    path = toy.folder / "lesson.zh.md"
    line = path.read_text().splitlines().index("- 截断后的比值的梯度：`3 // 2` 等于 1。") + 1
    assert told(toy) == [
        f"{path}:{line}: 截断 for 'clip(s|ped|ping)?': the glossary has 裁剪",
        f"{path}:{line}: 比值 for 'ratios?': the glossary has 比率",
    ]


SHOWN = "$$\na = b \\text{{ {word} }}\n$$\n\n![{word}.](figure:line)\n\n"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("a = b", "a = c", "this formula differs from that of"),
        ("$$\na = b \\text{ 如果 }\n$$\n\n", "", "begins '](figure:line)'"),
        ("![如果.](figure:line)\n\n", "", "begins '##'"),
        ("figure:line", "figure:curve", "begins '](figure:curve)'"),
    ],
)
def test_formulas_and_figures_are_the_same_in_both_languages(toy: Any, old: str, new: str, says: str) -> None:
    toy.spoil("lesson.md", "## Traps", SHOWN.format(word="if") + "## Traps")
    toy.spoil("lesson.zh.md", "## 陷阱", SHOWN.format(word="如果") + "## 陷阱")
    lessons = toy.folder / "lesson.md", toy.folder / "lesson.zh.md"
    assert list(compare_lessons(*lessons)) == []
    toy.spoil("lesson.zh.md", old, new)
    problems = list(compare_lessons(*lessons))
    assert [p for p in problems if says in p], problems
