from __future__ import annotations

import tomllib
from typing import Any

from groundup.grader.authoring.proof import write_matrix
from groundup.grader.judging.proof import argued, matrix_of, shows_from

NAMES = ["finds_few", "finds_many", "finds_none"]
KILLERS = {f"mistake-number-{n}": {"finds_many"} for n in range(30)} | {"odd": {"finds_few", "finds_many"}}


def test_the_matrix_is_written_beside_what_the_author_says(author: Any) -> None:
    technique = author.technique()
    path = technique.files.folder / "proof.toml"
    for before in (
        None,
        "# Mine.\n\n[shows_from]\nodd = 2\n\n[matrix]\nold = ['gone']\n",
        "[matrix]\nold = ['gone']\n\n[argued.finds_few]\nodd = 'It is.'\n",
        "[matrix]\nold = ['gone']\n",
    ):
        path.unlink(missing_ok=True)
        if before:
            path.write_text(before)
        for _ in range(2):  # again changes nothing
            assert write_matrix(technique, NAMES, KILLERS) == path
            matrix = matrix_of(technique)
            assert list(matrix) == NAMES
            assert matrix["finds_few"] == ["odd"]
            assert matrix["finds_many"] == list(KILLERS)
            assert matrix["finds_none"] == []
            assert shows_from(technique) == ({"odd": 2} if before and "shows_from" in before else {})
            assert argued(technique) == ({"finds_few": {"odd": "It is."}} if before and "argued" in before else {})
        text = path.read_text()
        assert tomllib.loads(text)
        assert max(map(len, text.splitlines())) <= 120
        assert ("# Mine." in text) == bool(before and "Mine" in before)
