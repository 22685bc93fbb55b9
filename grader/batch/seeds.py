"""The seed of a class: drawn once, given, or derived from a secret that stays with the instructor."""

from __future__ import annotations

import hashlib
import hmac
import os
import random
from pathlib import Path

from groundup.core.errors import UsageProblem, reason_of
from groundup.core.technique import Technique

__all__ = ["ASKED_BY", "derived", "fresh", "secret"]

ASKED_BY = "LEARN_SECRET_SEED"
SHORTEST = 16  # bytes: one that could be guessed could be tried, as the way from it to a seed is no secret
MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_hex(16))'"


def secret(file: Path | None) -> bytes | None:
    """Return the secret in ``file``, else in LEARN_SECRET_SEED, else None. Raises UsageProblem."""
    if file is None:
        given, where = os.environ.get(ASKED_BY, "").encode("utf-8", "surrogateescape"), ASKED_BY
        if not given:
            return None
    else:
        where = str(file)
        try:
            given = file.read_bytes()
        except OSError as error:
            raise UsageProblem(
                "The secret seed {file} cannot be read: {why}. {how} makes one.",
                file=file,
                why=reason_of(error),
                how=MAKE_ONE,
            ) from error
    found = given.strip()
    if len(found) < SHORTEST:
        raise UsageProblem(
            "The secret seed in {where} has {count} characters, and at least {least} are needed so that "
            "nobody can guess it: {how} makes one.",
            where=where,
            count=len(found),
            least=SHORTEST,
            how=MAKE_ONE,
        )
    return found


def derived(secret: bytes, technique: Technique) -> int:
    """Return the seed that ``secret`` gives every submission to ``technique``; it does not tell the secret."""
    digest = hmac.digest(secret, f"groundup class seed:{technique.id}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8]) >> 1


def fresh() -> int:
    """Return a seed that nobody knows yet."""
    return random.SystemRandom().randrange(1 << 63)
