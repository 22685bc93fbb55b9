"""Another way to each computed answer of the quiz."""

from __future__ import annotations


def predictions_in_a_batch(rows: int, length: int, prompt: int) -> int:
    """Count the outputs whose next token is not part of the prompt."""
    return sum(at + 1 >= prompt for _ in range(int(rows)) for at in range(int(length) - 1))
