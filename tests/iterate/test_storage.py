"""Units as files: equal after loading, in what they solve, prove and build; damaged files are errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxsim import SQ, iterate
from fxsim.iterate import zoo

STATE = SQ(3, 8, overflow="SAT")


def made(**options: object) -> iterate.Unit:
    M = np.array([[1, -3], [2, 1]]) / 8
    return iterate.unit(
        lambda x, b: x @ M.T + b, {"x": (STATE, 2)}, {"b": (SQ(2, 8), 2)}, name="small", **options
    )  # type: ignore[arg-type]


UNITS = {
    "default": {},
    "anchor": {"update": iterate.anchor([0.5, 0.25]), "stop": (iterate.delta(2), iterate.cycle())},
    "relax": {"update": iterate.relax([0.5, 0.75]), "schedule": iterate.sequential([1, 0])},
    "folded": {"schedule": iterate.folded(1)},
    "unrolled": {"schedule": iterate.unrolled(3), "stop": iterate.count(3)},
    "two": {"update": iterate.two_step(iterate.increment_trunc(1 / 512)), "start": [5, -7]},
}


@pytest.mark.parametrize("name", UNITS)
def test_comes_back_equal(name: str, tmp_path: Path) -> None:
    unit = made(**UNITS[name])
    unit.save(tmp_path / "unit.fxu")
    again = iterate.load(tmp_path / "unit.fxu")
    assert again == unit and str(again) == str(unit) and hash(again) == hash(unit)
    assert again.certify() == unit.certify()
    b = np.random.default_rng(0).integers(-200, 200, (5, 2))
    one, two = (u.solve_raw(b=b, certified=False) for u in (unit, again))
    assert np.array_equal(one.raw, two.raw) and np.array_equal(one.steps, two.steps)
    assert again.datapath == unit.datapath
    if unit.schedule.unroll:
        assert again.pipeline() == unit.pipeline()
        with pytest.raises(ValueError, match="no step function to lay out 2 sweeps"):
            again.pipeline(2)


@pytest.mark.parametrize("name", zoo.names())
def test_the_library_comes_back_equal(name: str, tmp_path: Path) -> None:
    unit = zoo.example(name).unit
    unit.save(tmp_path / "unit.fxu")
    again = iterate.load(tmp_path / "unit.fxu")
    assert again == unit and again.proofs == unit.proofs and again.map == unit.map


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        iterate.load(tmp_path / "none.fxu")
    (tmp_path / "text.fxu").write_text("no unit")
    with pytest.raises(ValueError, match="is not a unit file"):
        iterate.load(tmp_path / "text.fxu")
    unit = made()
    unit.map.save(tmp_path / "graph.fxs")
    with pytest.raises(ValueError, match=r"it has no unit\.json"):
        iterate.load(tmp_path / "graph.fxs")
    unit.save(tmp_path / "unit.fxu")
    data = (tmp_path / "unit.fxu").read_bytes()
    (tmp_path / "half.fxu").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="is not a unit file, or it is truncated"):
        iterate.load(tmp_path / "half.fxu")
