"""Iteration units and machines as hls4ml projects of one generated layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fxsim
import fxsim.iterate as it
import hls
from fxsim import SQ, UQ, Machine

STATE = SQ(6, 4, overflow="SAT")


def unit() -> it.Unit:
    """x <- A x + b."""
    a = [[4, -4, 0], [8, 2, 0], [0, 4, -6]]
    return it.unit(
        lambda x, b: ((x.builder.constant(a) @ x) >> 4) + b,
        {"x": (STATE, 3)}, {"b": (SQ(4, 4), 3)}, cap=60, name="relaxed",
    )  # fmt: skip


@pytest.mark.parametrize(("backend", "io_type"), [("Vitis", "io_parallel"), ("Catapult", "io_stream")])
def test_unit_gives_states_steps_and_status(
    backend: str, io_type: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    made = unit()
    project = hls.export(made, tmp_path / "p", backend, io_type=io_type)
    assert isinstance(project, hls.UnitProject)
    b, start = rng.integers(-128, 128, (40, 3)), rng.integers(-512, 512, (40, 3))
    for options in ({"b": b}, {"b": b, "start": start}, {"b": b[0]}):
        want, got = made.solve_raw(**options), project.solve_raw(**options)
        np.testing.assert_array_equal(got.raw, want.raw)
        np.testing.assert_array_equal(got.steps, want.steps)
        np.testing.assert_array_equal(got.status, want.status)
    np.testing.assert_array_equal(project.solve(b=b / 16).x, made.solve(b=b / 16).x)
    assert project.layers()[0]["layer"] == "generated"
    text = (project.folder / "firmware" / "nnet_utils" / "fx_solve.h").read_text()
    assert "#pragma HLS LOOP_TRIPCOUNT min=1 max=60" in text


def machine() -> Machine:
    """Sums of two channels, one of them beyond 64 bits."""

    def step(total, wide, x, restart):
        return (
            (total + x).cast(SQ(8, 0, overflow="SAT")),
            (wide * 3 - 1).cast(SQ(70, 0)),
            total,
            wide + restart,
        )

    types = SQ(8, 0, overflow="SAT"), SQ(70, 0), SQ(4, 0), UQ(1, 0)
    return Machine(([-3, 100], 1 << 66), fxsim.trace(step, *types, shape=[(2,), (), (2,), ()]))


@pytest.mark.parametrize(("backend", "io_type"), [("Vivado", "io_stream"), ("Quartus", "io_parallel")])
def test_machine_starts_every_row_anew(
    backend: str, io_type: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    made = machine()
    project = hls.export(made, tmp_path / "p", backend, "sums", io_type=io_type)
    assert isinstance(project, hls.MachineProject)
    x = rng.integers(-8, 8, (4, 30, 2)), rng.integers(0, 2, (4, 30))
    for _ in range(2):
        for got, want in zip(project.run_raw(*x), made.run_raw(*x)[0], strict=True):
            np.testing.assert_array_equal(got, want)
    with pytest.raises(TypeError, match="the machine has 2 inputs, not 1"):
        project.run_raw(x[0])
    with pytest.raises(TypeError, match="has inputs; use run_raw"):
        project.free_run(1, 3)


def test_machine_without_inputs_runs_freely(tmp_path: Path) -> None:
    made = Machine((5,), fxsim.trace(lambda s: ((s + 1).cast(UQ(3, 0)), s), UQ(3, 0)))
    project = hls.export(made, tmp_path / "p", "Quartus")
    np.testing.assert_array_equal(project.free_run(2, 9)[0], made.free_run(2, 9)[0][0])


def test_what_has_no_output_or_proof_is_refused(tmp_path: Path) -> None:
    silent = Machine((5,), fxsim.trace(lambda s: (s + 1).cast(UQ(3, 0)), UQ(3, 0)))
    with pytest.raises(ValueError, match="the machine has only its state"):
        hls.export(silent, tmp_path / "p")
