"""The Chinese of what the commands say of the course: where a learner stands, and what comes next."""

__all__ = ["COURSE", "COURSE_HELP"]

# Paragraphs of help, as in ``groundup.cli.chinese_help``.
COURSE_HELP = {
    "Without HOLE it is the first one that is still empty, or else the one that your last grading points to. Which "
    "hints you took is recorded: 'learn status' and your brief say how many.": (
        "不指定空时，是第一个还没填的空；都填了，则是最近一次评判所指向的空。"
        "看过哪些提示会被记录：'learn status' 和你的简报会写明条数。"
    ),
}

COURSE = {
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
