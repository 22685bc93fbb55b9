"""Shared by the packaging tests: the repository's files, as in a fresh clone."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
collect_ignore = ["contract_1"]  # a distribution that a test installs; its own tests do not run here


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of every file that is tracked by git, or untracked but not ignored."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a git clone says which files belong to it")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    copy = tmp_path_factory.mktemp("tree")
    for name in listing.stdout.decode().split("\0"):
        if (ROOT / name).is_file():  # neither the empty last name nor a deleted file
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy
