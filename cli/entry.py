"""The entry point of ``learn``. If the warm judge takes the grade, nothing beyond these imports is loaded."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``learn``. A grade is handed over to the warm judge if it takes it; if none runs, the grade starts one."""
    arguments = sys.argv[1:]
    sys.exit(_grade(arguments) if "grade" in arguments else _here())


def _grade(arguments: list[str]) -> int:
    from groundup.cli import warm

    wanted = warm.wants_one(arguments)
    try:
        code = warm.handed_over(arguments) if wanted else None
    except KeyboardInterrupt:
        from groundup.cli.context import speak_first
        from groundup.cli.main import stopped

        speak_first(arguments)
        return stopped()
    except Exception:
        from groundup.cli.main import broken

        return broken()
    if code is None:
        code = _here()
        if wanted and code in (0, 1):
            warm.start()
    return code


def _here() -> int:
    from groundup.cli.main import run

    return run()
