"""Each line of the table in docs/errors.md: the error's type, its message, and the command line's exit
status."""

from __future__ import annotations

import builtins
import re
from pathlib import Path

import pytest
from bad_input import CASES

from fxsim.cli import main

TABLE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def rows() -> list[tuple[str, str, str]]:
    found = re.findall(r"^\| (.+?) \| `(\w+)` \| (.+?) \|$", TABLE.read_text(), re.M)
    return [(a, b, c) for a, b, c in found]


def test_every_line_has_a_test_and_every_test_a_line() -> None:
    assert sorted(CASES) == sorted(r[0] for r in rows())


@pytest.mark.parametrize(("line", "error", "text"), rows(), ids=[r[0] for r in rows()])
def test_line(line: str, error: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(getattr(builtins, error), match=re.escape(text)):
        CASES[line](tmp_path, monkeypatch)


def test_command_line_prints_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tmp_path / "nothing.onnx")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "nothing.onnx" in err
