"""The seed of a class: drawn once, given, or derived from a secret that only the instructor knows."""

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
SHORTEST = 16  # bytes: a shorter secret could be found by trying, as the derivation of the seed is public
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
    """Derive from ``secret`` the seed of all submissions to ``technique``; it does not reveal the secret."""
    digest = hmac.digest(secret, f"groundup class seed:{technique.id}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:8]) >> 1


def fresh() -> int:
    """Return a random seed."""
    return random.SystemRandom().randrange(1 << 63)
