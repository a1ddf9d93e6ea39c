"""Comparisons with a framework, and their pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fxsim.compare
from bad_input.table import case, graph


@case("a saved graph, where a framework is to be compared")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().save(tmp / "g.fxs")
    fxsim.compare.check(tmp / "g.fxs", graph(), [np.zeros((1, 2))])


@case("a picture of an unknown kind")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.compare.plot import plot

    plot(tmp / "p.gif", fxsim.compare.profile(graph(), [np.zeros((1, 2))]))
