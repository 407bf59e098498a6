"""The code of docs/tutorial_tables.md runs, in order, in an empty directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).resolve().parents[3] / "docs" / "tutorial_tables.md"


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = TUTORIAL.read_text()
    scope: dict[str, object] = {"__name__": "tutorial"}
    blocks = list(re.finditer(r"```python\n(.*?)```", text, re.DOTALL))
    assert len(blocks) > 10
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        # Lines are numbered as in the page, so that a traceback points there.
        exec(compile("\n" * line + block[1], str(TUTORIAL), "exec"), scope)
    printed = capsys.readouterr().out
    assert "'sensor': 42" in printed and "groups read" in printed
