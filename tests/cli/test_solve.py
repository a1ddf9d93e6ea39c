"""fxsim solve: units of the library and of one's own, data in, results, certificate and pictures out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fxsim.cli import main
from fxsim.iterate import zoo

OWN = """
import fxsim
from fxsim import SQ, iterate

state = {"x": (SQ(4, 6, rounding="RND", overflow="SAT"), ())}
halver = iterate.unit(lambda x, b: (x >> 1) + b, state, {"b": (SQ(2, 6), ())}, name="halver")
flip = iterate.unit(lambda x: 1.5 - x * 0.9375, state, update=iterate.assign(), cap=9, name="flip")
def made():
    return halver
nothing = 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_units.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_names_every_unit(data: Callable[..., Any]) -> None:
    status, found = data("solve", "--list")
    assert status == 0 and sorted(found["units"]) == zoo.names()
    assert all(text.endswith(".") for text in found["units"].values())


def test_example_of_the_library(data: Callable[..., Any]) -> None:
    status, found = data("solve", "affine", "--raw", "--rows", "3")
    example = zoo.example("affine")
    wanted = example.solve()
    assert status == 0 and found["problems"] == found["converged"] == 3
    assert found["steps"] == wanted.steps[:3].tolist()
    assert found["states"][example.unit.state[0]] == wanted.raws[0][:3].tolist()


def test_own_unit_with_data(own: Path, data: Callable[..., Any]) -> None:
    np.savez(own / "problems.npz", b=[0.5, -0.25], x=[0.0, 1.0])
    for name in ("halver", "made"):
        status, found = data("solve", f"own_units:{name}", "--data", "problems.npz", "-o", "found.npz")
        assert status == 0 and found["status"] == ["fixed", "fixed"]
        with np.load(own / "found.npz") as stored:
            assert (
                stored["x"].tolist() == [0.984375, -0.484375] and stored["steps"].tolist() == found["steps"]
            )


def test_certificate_and_pictures(own: Path, data: Callable[..., Any]) -> None:
    np.savez(own / "problems.npz", b=[32, -16])
    arguments = ["solve", "own_units:halver", "--data", "problems.npz", "--raw", "--certificate", "c.json"]
    status, _ = data(*arguments, "--plot", "error.svg", "--cobweb", "web.png")
    assert status == 0 and json.loads((own / "c.json").read_text())["L"] == "1/2"
    assert (own / "error.svg").read_text().startswith("<?xml") and (own / "web.png").stat().st_size > 5000
    assert main([*arguments[:-1], "c.md"]) == 0
    assert "halver" in (own / "c.md").read_text()


def test_what_may_not_stop(own: Path, capsys: pytest.CaptureFixture[str], data: Callable[..., Any]) -> None:
    assert main(["solve", "own_units:flip"]) == 2
    assert "may not stop" in capsys.readouterr().err
    status, found = data("solve", "own_units:flip", "--unchecked")
    assert status == 1 and found["status"] == ["cap"] and found["terminates_by"] is None


WRONG = [
    ((), "UNIT must be given"),
    (("nosuch",), "unit must be one of"),
    (("no_such_module:unit",), "cannot be imported"),
    (("own_units:nosuch",), "must define 'nosuch'"),
    (("own_units:nothing",), "must be a Unit"),
    (("own_units:halver",), "--data must be given"),
    (("own_units:halver", "--data", "none.npz"), "does not exist"),
    (("own_units:halver", "--data", "broken.npz"), "cannot be read"),
    (("own_units:halver", "--data", "nan.npz"), "'b' must be finite"),
    (("own_units:halver", "--data", "other.npz"), "'b'] missing"),
    (("own_units:halver", "--data", "wide.npz", "--raw"), "'b' must lie in raw"),
    (("affine", "-o", "nofolder/x.npz"), "nofolder"),
]


@pytest.mark.parametrize("arguments, text", WRONG, ids=[w[1] for w in WRONG])
def test_errors_name_what_is_wrong(
    arguments: tuple[str, ...], text: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    np.savez(own / "nan.npz", b=[np.nan])
    np.savez(own / "other.npz", c=[1.0])
    np.savez(own / "wide.npz", b=[10**6])
    assert main(["solve", *arguments]) == 2
    assert text in capsys.readouterr().err
