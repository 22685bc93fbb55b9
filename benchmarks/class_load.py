"""Grades a large class while things break, and checks that nothing is lost; ``make soak`` runs it.

Submissions to ``gae`` are graded by ``learn grade-many`` into a disk of its own and a PostgreSQL database. Meanwhile
the disk is full once, two judges are killed, and the database's server restarts. Another class is graded on a Ray
cluster that loses a node. Then throughput is compared with one pytest process for each submission, block by block.

Exit code 1 if a submission has no row, two rows, or another outcome than expected, if the database lacks a verdict or
has one twice, or if memory grows. What this machine cannot do (mount a disk, run PostgreSQL or Ray) is left out and
said.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from postgres import server
from run import LEARN, ONE_BY_ONE, process_seconds

from groundup.core.registry import Registry
from groundup.grader.learner.tables import verdicts

MOST_GROWTH = 1.15  # median of the last quarter over that of the second quarter; the first quarter is warm-up
AWAY = 5.0  # seconds that the database's server is down
ROOM = "4g"  # of the disk
GAE = Registry().technique("gae")
RIGHT = GAE.files.solution.read_text(encoding="utf-8")
KINDS = {
    "passed": RIGHT,
    "not_started": GAE.files.exercise.read_text(encoding="utf-8"),
    "fell_short": RIGHT.replace("gamma * next_non_terminal * value", "gamma * value"),
    "died": "import os\n\n\ndef gae(*args, **kwargs):\n    os._exit(1)\n",
}
"""Attempts by the outcome that they have."""


def hand_in(folder: Path, count: int) -> dict[str, str]:
    """Write submissions of each kind in turn; return their outcomes by name."""
    expected = {}
    for number in range(count):
        outcome = list(KINDS)[number % len(KINDS)]
        name = f"{number:05d}"
        (folder / name).mkdir(parents=True)
        (folder / name / "gae.py").write_text(f"{KINDS[outcome]}# {number}\n", encoding="utf-8")
        expected[name] = outcome
    return expected


def resident(pid: int) -> int:
    """Return the resident memory of a process in MiB; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
    except (OSError, IndexError):
        return 0


def judges(pid: int) -> list[int]:
    """Return the processes of a command's judges."""
    found = []
    with contextlib.suppress(OSError):
        for child in (int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


class Run:
    """One ``learn grade-many``, begun again after it ended early; with what happens to it on the way."""

    def __init__(self, folder: Path, out: Path, count: int, *options: str, **environment: str) -> None:
        self.command = [LEARN, "grade-many", "class", "--technique", "gae", "--out", str(out), *options]
        self.folder, self.rows, self.count = folder, out / "results.jsonl", count
        self.environment = {**os.environ, **environment}
        self.events: list[tuple[float, str, Callable[[Run], None]]] = []
        """At which share of the rows what happens."""
        self.memory: list[tuple[int, int, int]] = []
        """Rows, memory of the command, memory of its largest judge."""
        self.said: list[str] = []
        self.process: subprocess.Popen[str]
        self._done = self._read = 0

    def whole(self) -> float:
        """Grade the class; return the seconds that it took."""
        began = time.monotonic()
        self.start()
        events = sorted(self.events, key=lambda event: event[0])
        while self.process.poll() is None:
            done = self.done()
            self.memory.append(
                (done, resident(self.process.pid), max(map(resident, judges(self.process.pid)), default=0))
            )
            if events and done >= events[0][0] * self.count:
                _, name, happens = events.pop(0)
                print(f"  {done} rows: {name}", flush=True)
                happens(self)
            time.sleep(0.5)
        self.end()
        if self.process.returncode:
            print(f"  it ended with exit code {self.process.returncode}: {self.said[-1]}")
        if events:
            print(f"  too few submissions for: {', '.join(name for _, name, _ in events)}")
        return time.monotonic() - began

    def start(self) -> None:
        """Start the command."""
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def end(self) -> None:
        """Wait for the command's end, and keep what it said on stderr."""
        self.said += [line for line in self.process.communicate()[1].splitlines() if line]

    def done(self) -> int:
        """Return the number of rows, of which only new ones are read."""
        if self.rows.exists():
            with self.rows.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._done += new.count(b"\n")
            self._read += new.rfind(b"\n") + 1
        return self._done


def kill_a_judge(run: Run) -> None:
    """End a judge as the out-of-memory killer does."""
    os.kill(judges(run.process.pid)[0], signal.SIGKILL)


def lost(run: Run, expected: dict[str, str]) -> list[str]:
    """Return what is wrong with the rows."""
    with run.rows.open(encoding="utf-8") as file:
        rows = [(row["name"], row["outcome"]) for row in map(json.loads, file)]
    counts = Counter(name for name, _ in rows)
    found = [f"{name}: {counts[name]} rows" for name in expected if counts[name] != 1]
    return found + [f"{name}: {outcome}, not {expected[name]}" for name, outcome in rows if expected[name] != outcome]


def unrecorded(url: str, expected: dict[str, str]) -> list[str]:
    """Return the submissions that the database has not exactly once."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        counts = Counter(connection.execute(sa.select(verdicts.c.learner)).scalars())
    return [f"{name}: {counts[name]} verdicts in the database" for name in expected if counts[name] != 1]


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Callable[[Run], None] | None]:
    """Mount a disk at ``folder``; yield what fills it until the command ends. None if it may not be mounted."""
    folder.mkdir(parents=True)
    mounts = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mounts, capture_output=True, check=False).returncode:
        yield None
        return

    def fill(run: Run) -> None:
        used = shutil.disk_usage(folder).used
        subprocess.run(["mount", "-o", f"remount,size={used}", str(folder)], check=True)
        run.end()
        if run.process.returncode != 3 or "No space left on device" not in run.said[-1]:
            raise SystemExit(f"on a full disk: exit code {run.process.returncode}, {run.said[-1]}")
        subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(folder)], check=True)
        run.start()

    try:
        yield fill
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def broken_class(folder: Path, count: int, jobs: int) -> list[str]:
    """Grade a class while things break; print how it went, and return what is wrong."""
    expected = hand_in(folder / "class", count)
    with contextlib.ExitStack() as stack:
        fill = stack.enter_context(disk(folder / "disk"))
        options = ["--jobs", str(jobs)]
        database = None
        if shutil.which("pg_ctl") and importlib.util.find_spec("psycopg"):
            database = stack.enter_context(server())
            options += ["--database", database.url]
        run = Run(folder, folder / "disk" / "results", count, *options)
        run.events = [(0.4, "a judge is killed", kill_a_judge), (0.6, "a judge is killed", kill_a_judge)]
        if fill:
            run.events.append((0.1, "the disk is full", fill))
        else:
            print("  not done: a full disk, as none may be mounted here")
        if database:

            def restart(_run: Run) -> None:
                database.stop()
                time.sleep(AWAY)
                database.start()

            run.events.append((0.5, "PostgreSQL restarts", restart))
        else:
            print("  not done: a restart of PostgreSQL, as pg_ctl or psycopg is missing")
        took = run.whole()
        print(f"  {count} submissions, {jobs} at once, in {took:.0f} s: {count / took * 60:.0f} a minute")
        wrong = lost(run, expected) + (unrecorded(database.url, expected) if database else [])
        return wrong + grown(run)


def grown(run: Run) -> list[str]:
    """Print the medians of the memory in each quarter of the class; return what grows."""
    found = []
    for what, at in (("the command", 1), ("a judge", 2)):
        quarters: list[list[int]] = [[] for _ in range(4)]
        for sample in run.memory:
            if sample[at]:
                quarters[min(3, sample[0] * 4 // run.count)].append(sample[at])
        medians = [statistics.median(quarter) if quarter else 0 for quarter in quarters]
        growth = medians[3] / medians[1] if medians[1] else 1.0
        print(f"  {what}: {' '.join(f'{m:.0f}' for m in medians)} MiB in each quarter, growth {growth:.2f}")
        if growth > MOST_GROWTH:
            found.append(f"the memory of {what} grows by {growth:.2f}")
    return found


def class_on_ray(folder: Path, count: int) -> list[str]:
    """Grade a class on two nodes, of which one is lost; return what is wrong."""
    if not importlib.util.find_spec("ray"):
        print("  not done: Ray is not installed")
        return []
    from ray.cluster_utils import Cluster

    expected = hand_in(folder / "class", count)
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    try:
        run = Run(folder, folder / "results", count, "--engine", "ray", RAY_ADDRESS=cluster.address)
        run.events = [(0.4, "a node is lost", lambda _: cluster.remove_node(second, allow_graceful=False))]
        took = run.whole()
    finally:
        cluster.shutdown()
    print(f"  {count} submissions on Ray in {took:.0f} s; on stderr: {run.said or 'nothing'}")
    return lost(run, expected)


def beside_pytest(folder: Path, block: int, jobs: int, blocks: int) -> None:
    """Print throughput beside one pytest process for each submission; their blocks alternate."""
    hand_in(folder / "class", block)
    command = [LEARN, "grade-many", "class", "--technique", "gae", "--jobs", str(jobs), "--out"]
    one = [sys.executable, "-c", ONE_BY_ONE, str(GAE.files.properties)]
    ours, theirs = [], []
    for number in range(blocks):
        ours.append(block / process_seconds(*command, f"results-{number}", cwd=folder) * 60)
        began = time.monotonic()
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda _: process_seconds(*one), range(2 * jobs)))
        theirs.append(2 * jobs / (time.monotonic() - began) * 60)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(f"  {jobs} at once, {blocks} blocks of {block} submissions, and of {2 * jobs} pytest processes, in turn:")
    print(f"  grade-many: {statistics.median(ours):.0f} a minute ({min(ours):.0f} to {max(ours):.0f})")
    print(
        f"  one pytest process each: {statistics.median(theirs):.0f} a minute ({min(theirs):.0f} to {max(theirs):.0f})"
    )
    print(f"  {statistics.median(ratios):.1f} times as many ({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


def main() -> None:
    """Run all parts; exit with 1 if something is lost or memory grows."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    options.add_argument("--submissions", type=int, default=2000)
    options.add_argument("--on-ray", type=int, help="submissions on Ray; default: a tenth")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--blocks", type=int, default=5, help="of the comparison with pytest; 0 leaves it out")
    options.add_argument("--block", type=int, default=40, help="submissions in a block")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="class-") as name:
        print("A class while things break:", flush=True)
        wrong = broken_class(Path(name) / "here", chosen.submissions, chosen.jobs)
        print("A class on Ray:", flush=True)
        on_ray = chosen.on_ray if chosen.on_ray is not None else max(8, chosen.submissions // 10)
        wrong += class_on_ray(Path(name) / "on-ray", on_ray) if on_ray else []
        if chosen.blocks:
            print("Throughput:", flush=True)
            beside_pytest(Path(name) / "paired", chosen.block, chosen.jobs, chosen.blocks)
    print("\n".join(["Wrong:", *wrong]) if wrong else "Nothing is lost, and memory is flat.")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
