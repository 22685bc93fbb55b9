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
    # hints
    "Hints are recorded: 'learn status' and your brief say how many you took. This is told once.": (
        "提示会被记录：'learn status' 和你的简报会写明你看了几条。这句话只说一次。"
    ),
    "Take the first one?": "要看第一条吗？",
}
