"""Units as C++ functions: states, steps and status of the emulator, of every kind of end."""

from __future__ import annotations

from functools import cache

import hardware_units
import numpy as np
import pytest
from hardware_units import UNITS, Problems

import hls


@cache
def compiled() -> dict[str, tuple[Problems, hls.CompiledUnit]]:
    """All units in one library."""
    problems = {name: make() for name, make in UNITS.items()}
    found = hls.compile_units([unit for unit, _, _ in problems.values()])
    return {name: (problems[name], f) for name, f in zip(problems, found, strict=True)}


@pytest.mark.parametrize("name", UNITS)
def test_every_unit(name: str) -> None:
    (unit, parameters, start), function = compiled()[name]
    want, got = unit.solve_raw(start, **parameters), function.solve_raw(start, **parameters)
    assert np.array_equal(want.codes, got.codes)
    assert np.array_equal(want.steps, got.steps)
    assert got.steps.dtype == want.steps.dtype
    for a, b in zip(want.raws, got.raws, strict=True):
        assert np.array_equal(a, b)
    assert got.status.tolist() == want.status.tolist()


def test_one_problem_without_an_axis_of_rows() -> None:
    (unit, parameters, _), function = compiled()["jacobi"]
    want, got = (f(b=parameters["b"][3]) for f in (unit.solve_raw, function.solve_raw))
    assert (got.status, int(got.steps)) == (want.status, int(want.steps))
    assert np.array_equal(got.x, want.x)


def test_source_says_what_it_is() -> None:
    unit, _, _ = hardware_units.affine(3, cap=77)
    text = hls.unit_source(unit, "relaxed")
    assert "inline void relaxed(const ap_int<10> start_x[3], const ap_int<9> b[3]," in text
    assert "#pragma HLS LOOP_TRIPCOUNT min=1 max=77" in text
    assert "} while (status[0] == 0);" in text
    assert text == hls.unit_source(unit, "relaxed")
    with pytest.raises(ValueError, match=r"name must be a C\+\+ identifier"):
        hls.unit_source(unit, "no name")
