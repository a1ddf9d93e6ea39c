"""Units that iterate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fxsim
from bad_input.table import case
from fxsim import iterate

SATURATING = fxsim.SQ(3, 6, rounding="RND", overflow="SAT")


@case("an iteration that no proof says will stop")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.unit(lambda x: 1 - x, {"x": (SATURATING, 2)}).solve()


@case("an affine map that does not contract")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5, 0.5], [1.0, 0.0]])


@case("a singular system for a solver")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.jacobi([[1, 1], [1, 1]])


@case("a state of an iteration that may wrap")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.unit(lambda x: x * 2, {"x": (fxsim.SQ(3, 6), 2)})


@case("an iteration without a single sweep")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]], cap=0)


@case("a tolerance below 0")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.residual(-0.5)


@case("a start or parameter of an iteration that is NaN")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]]).solve(b=[np.nan])


@case("a missing parameter of an iteration")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]]).solve()


@case("a unit that the library does not have")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.example("nothing")
