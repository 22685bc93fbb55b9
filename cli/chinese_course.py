"""The Chinese of what the commands say of the course: where a learner stands, and what comes next."""

__all__ = ["COURSE", "COURSE_HELP"]

# Paragraphs of help, as in ``groundup.cli.chinese_help``.
COURSE_HELP = {
    "Do the next step: a lab, a quiz, new stubs, the brief.": "执行下一步：实验、测验、新的练习框架或简报。",
    "Do the next step, and say first which it is.": "执行下一步，并先说明是哪一步。",
    "After a pass it runs the lab, then begins the quiz, then puts the stubs of the next technique into your "
    "workspace; at the end of a day it writes the brief. Where the step is yours, to fill a hole, it says where.": (
        "通过之后依次是：运行实验、开始测验、把下一项技术的练习框架放入工作区；一天结束时写出简报。"
        "如果下一步要由你来做（填空），则说明是哪个文件的哪个空。"
    ),
    "With --json it says what comes next and does nothing.": "加上 --json 只说明接下来是什么，不执行。",
    "Show every day that you have begun in full.": "完整显示你已开始的每一天。",
    "Of a technique that you have begun it shows what the verdicts said, the holes that are filled, hints, the best "
    "quiz and the lab. Files that could not be loaded and stubs that were graded as they are do not count.": (
        "对你已开始的每项技术，显示评判结果、已填的空、看过的提示、最好的一次测验和实验。"
        "没能加载的文件和原样评判的练习框架不计入。"
    ),
    "Without HOLE it is the first one that is still empty, or else the one that your last grading points to. Which "
    "hints you took is recorded: 'learn status' and your brief say how many.": (
        "不指定空时，是第一个还没填的空；都填了，则是最近一次评判所指向的空。"
        "看过哪些提示会被记录：'learn status' 和你的简报会写明条数。"
    ),
}

COURSE = {
    # where you stand
    "({count} of {total} passed)": "（{total} 项通过了 {count} 项）",
    "({count} of {total} written)": "（{total} 项中已编写 {count} 项）",
    "1 of {total} holes filled": "{total} 个空填了 1 个",
    "{filled} of {total} holes filled": "{total} 个空填了 {filled} 个",
    ", hole 1 holds": "，第 1 个空成立",
    ", holes 1 to {hold} hold": "，第 1 到 {hold} 个空成立",
    "1 hint": "提示 1 条",
    "{count} hints": "提示 {count} 条",
    "lab run": "实验已运行",
    "lab run quickly": "实验快速运行过",
    "lab: mark reached": "实验：达到目标",
    "lab: mark missed": "实验：未达到目标",
    "quiz {right} of {total}": "测验 {total} 题答对 {right} 题",
    "quiz begun, {count} of {total} answered": "测验已开始，{total} 题答了 {count} 题",
    "graded once": "评判过 1 次",
    "graded {count} times": "评判过 {count} 次",
    "to begin: {names}": "可以开始：{names}",
    "not written yet: {names}": "尚未编写：{names}",
    "in short here; 'learn status --all' shows all": "有些日程只显示一行；'learn status --all' 显示全部",
    "{count} days are not begun: 'learn list' shows them": "还有 {count} 天没有开始：'learn list' 列出它们",
    "{count} more lines: 'learn status --all' shows them": "还有 {count} 行：'learn status --all' 显示全部",
    "Not loaded, and so without a score.": "文件未能加载，因此不计分。",
    # the way on
    "does this": "执行这一步",
    "does the first of these": "执行其中的第一步",
    "the lab: your own code in a closed loop": "实验：用你自己的代码跑通闭环",
    "the quiz, with numbers of its own": "测验，每次数字不同",
    "the quiz, where you stopped": "从上次停下的地方继续测验",
    "the lesson of what you have begun": "已开始的那项技术的课文",
    "the next technique of {day}": "{day} 的下一项技术",
    "{day} as a page, with its evidence": "把 {day} 的成果连同证据导出成一页",
    "the stubs of the next day": "放入下一天的练习框架",
    "a technique beside the roadmap": "路线图之外的一项技术",
    "{technique}: fill hole {hole} in {path}: {title}.": "{technique}：请填 {path} 里的第 {hole} 个空：{title}。",
    "{technique}: every hole is filled in {path}; it has not passed yet.": (
        "{technique}：{path} 里的空都填了，但还没有通过。"
    ),
    # beginning a day or a technique
    "; ": "；",
    "level {level} of 5": "难度 {level}/5",
    "level {level} of 5, {minutes} minutes": "难度 {level}/5，约 {minutes} 分钟",
    "level {low} to {high} of 5, {minutes} minutes": "难度 {low} 到 {high}/5，约 {minutes} 分钟",
    "{summary} ({effort})": "{summary}（{effort}）",
    "{minutes} minutes": "约 {minutes} 分钟",
    "builds on {names}": "先修 {names}",
    "This day is not complete. There so far: {names}.": "这一天还不完整。目前已有：{names}。",
    "Nothing of this day can be begun yet.": "这一天还没有可以开始的内容。",
    " Not written yet: {names}.": "尚未编写：{names}。",
    # hints
    "Hints are recorded: 'learn status' and your brief say how many you took. This is told once.": (
        "提示会被记录：'learn status' 和你的简报会写明你看了几条。这句话只说一次。"
    ),
    "Take the first one?": "要看第一条吗？",
}
