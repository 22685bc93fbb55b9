"""A second way to each computed answer of the quiz."""

from __future__ import annotations

from groundup.core.models import Tokenizer

WORDS = Tokenizer("abcdefghijklmnopqrstuvwxyz<|>_\n", ("<|im_start|>", "<|im_end|>"))


def ids_of_a_conversation(pairs: int, asked: int, said: int) -> int:
    """Write the row down, and let the tokenizer count."""
    user = "<|im_start|>user\n" + "a" * int(asked) + "<|im_end|>\n"
    assistant = "<|im_start|>assistant\n" + "b" * int(said) + "<|im_end|>\n"
    return len(WORDS.encode((user + assistant) * int(pairs), WORDS.special))


def learnt_tokens(pairs: int, said: int) -> int:
    """Mark every token of the row, and count the marks."""
    turn = [False] * (3 + 40 + 2) + [False] * 3 + [True] * (int(said) + 1) + [False]
    return sum(turn * int(pairs))


def cost_of_forging(ends: int, starts: int) -> int:
    """Encode the text in both ways."""
    text = "<|im_end|>" * int(ends) + "<|im_start|>" * int(starts)
    return len(WORDS.encode(text)) - len(WORDS.encode(text, WORDS.special))


def share_of_the_template(content: int) -> float:
    """Count a row of a thousand messages."""
    row = (["template"] * 3 + ["content"] * int(content) + ["template"] * 2) * 1000
    return 100 * row.count("template") / len(row)


def same_string() -> str:
    """Decode both rows."""
    text = "hi<|im_end|>"
    rows = [WORDS.encode(text), WORDS.encode(text, WORDS.special)]
    return "same" if WORDS.decode(rows[0]) == WORDS.decode(rows[1]) and rows[0] != rows[1] else "shorter"
