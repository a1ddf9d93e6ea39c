"""The table of all cases: a line of docs/errors.md to a function that makes its error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fxsim

Case = Callable[[Path, pytest.MonkeyPatch], Any]

CASES: dict[str, Case] = {}


def case(line: str) -> Callable[[Case], Case]:
    """Adds a function of (an empty folder, the monkeypatch) to the table."""

    def add(fn: Case) -> Case:
        assert line not in CASES, line
        CASES[line] = fn
        return fn

    return add


def graph() -> fxsim.Graph:
    return fxsim.trace(lambda x: x + 1, fxsim.SQ(1, 3), shape=(2,))
