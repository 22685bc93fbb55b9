"""What the packaging tests share: the tree as a fresh clone would hold it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
collect_ignore = ["contract_1"]  # a distribution that tests install, with tests of its own


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of every file that is in the repository or about to be."""
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
        if (ROOT / name).is_file():  # neither the empty last name nor one deleted since
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy
