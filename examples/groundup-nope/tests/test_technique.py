"""Checks that the technique is sound. The properties are tests, too: ``testpaths`` in pyproject.toml names them."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_technique_is_sound() -> None:
    command = [
        Path(sys.executable).with_name("learn"),
        "author",
        "check",
        "architecture/nope",
        "--seeds",
        "1",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert {f["technique"] for f in findings} == {"architecture/nope"}
    assert [problem for f in findings for problem in f["problems"]] == []
