"""Samples, formats and what is traced, saved graphs, output folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fxsim
from bad_input.table import case, graph


@case("NaN or infinity among the samples")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run([[0.5, np.nan]])


@case("samples of the wrong shape")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run(np.zeros((4, 3)))


@case("samples of the wrong dtype")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run(np.array([["a", "b"]]))


@case("raw codes that are not integers")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run_raw(np.array([[0.5, 1.0]]))


@case("a value outside the input format")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run([[0.5, 1.0]])


@case("a raw code outside the input's range")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run_raw([[8, 0]])


@case("a truncated graph file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    whole = tmp / "graph.fxs"
    graph().save(whole)
    whole.write_bytes(whole.read_bytes()[:200])
    fxsim.load(whole)


@case("a truncated data file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.cli.data import read_samples

    path = tmp / "x.npy"
    np.save(path, np.zeros((100, 2)))
    path.write_bytes(path.read_bytes()[:300])
    read_samples(graph(), str(path))


@case("a format of width 0")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.SQ(0, 0)


@case("a format of negative width")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.Format(-3, 1)


@case("a format that cannot be parsed")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.Format.parse("float<3>")


@case("a weight that is not exactly representable")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.trace(lambda x: x * 0.1, fxsim.SQ(1, 3))


@case("a condition used as a Python bool while tracing")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.trace(lambda x: x if x > 0 else -x, fxsim.SQ(1, 3))


@case("an output folder that cannot be written")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.files import make_folder

    make_folder("/proc/fxsim")  # a folder in which not even root may make one


@case("an output folder that is a file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.files import make_folder

    (tmp / "file").write_text("")
    make_folder(tmp / "file")
