"""Checks that memory does not grow while a class is graded; ``make soak`` runs it.

Grades many submissions to ``gae`` with ``learn grade-many`` and samples the resident memory of the command and of its
judges. Exit code 1 if it grows.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from groundup.core.registry import Registry

LEARN = str(Path(sys.executable).with_name("learn"))
MOST_GROWTH = 1.15  # median of the last quarter over that of the second quarter; the first quarter is warm-up


def resident(pid: int) -> int:
    """Return the resident memory of a process in MiB; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    except (OSError, IndexError):
        return 0


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    try:
        return [int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()]
    except OSError:
        return []


def hand_in(folder: Path, count: int) -> None:
    """Write submissions: right, wrong and unfinished ones in turn."""
    gae = Registry().technique("gae")
    right = gae.files.solution.read_text(encoding="utf-8")
    wrong = right.replace("gamma * next_non_terminal * value", "gamma * value")
    kinds = [
        right,
        gae.files.exercise.read_text(encoding="utf-8"),
        wrong,
        "import os\n\n\ndef gae():\n    os._exit(1)\n",
    ]
    for number in range(count):
        (folder / f"{number:05d}").mkdir(parents=True)
        (folder / f"{number:05d}" / "gae.py").write_text(kinds[number % len(kinds)] + f"# {number}\n", encoding="utf-8")


def watched(folder: Path, count: int, jobs: int) -> list[tuple[int, int, int]]:
    """Grade the class; return samples of (submissions done, memory of the command, memory of its largest judge)."""
    seen: list[tuple[int, int, int]] = []
    rows = folder / "results" / "results.jsonl"
    command = [LEARN, "grade-many", "class", "--technique", "gae", "--jobs", str(jobs)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            done = rows.read_bytes().count(b"\n") if rows.exists() else 0
            seen.append((done, resident(running.pid), max(map(resident, children(running.pid)), default=0)))
            time.sleep(1)
    done = rows.read_bytes().count(b"\n")
    if running.returncode or done != count:
        raise SystemExit(f"{done} of {count} were graded; exit code {running.returncode}")
    return seen


def main() -> None:
    """Print the medians of the samples; exit with 1 if memory grows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--submissions", type=int, default=2000)
    options.add_argument("--jobs", type=int, default=2)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        hand_in(Path(name) / "class", chosen.submissions)
        began = time.monotonic()
        seen = watched(Path(name), chosen.submissions, chosen.jobs)
        took = time.monotonic() - began
    print(f"{chosen.submissions} submissions in {took:.0f} s: {chosen.submissions / took * 60:.0f} a minute")
    grows = False
    for what, at in (("the command", 1), ("a judge", 2)):
        quarters = [
            [s[at] for s in seen if n * chosen.submissions // 4 <= s[0] < (n + 1) * chosen.submissions // 4 and s[at]]
            for n in range(4)
        ]
        medians = [statistics.median(quarter) if quarter else 0 for quarter in quarters]
        growth = medians[3] / medians[1] if medians[1] else 1.0
        grows |= growth > MOST_GROWTH
        print(f"{what}: {' '.join(f'{m:.0f}' for m in medians)} MiB in each quarter, growth {growth:.2f}")
    raise SystemExit(1 if grows else 0)


if __name__ == "__main__":
    main()
