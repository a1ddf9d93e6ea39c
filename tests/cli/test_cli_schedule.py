"""`--schedule` and what goes with it: the hardware of `rtl.build`, its figures, and options that do not go
together."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import layers
from fxsim.cli import main
from fxsim.cli.schedule import axes
from fxsim.trace import Tensor

Data = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution and a dense layer of 6 x 6 pixels."""

    def forward(x: Tensor) -> Tensor:
        rng = np.random.default_rng(6)
        kernel, matrix = rng.integers(-2, 3, (3, 3, 1, 2)), rng.integers(-2, 3, (72, 3))
        y = layers.conv2d(x, kernel, padding=1, name="conv").relu().cast(fxsim.UQ(3, 0, overflow="SAT"))
        return layers.dense(y.reshape(-1), matrix, name="fc")

    path = tmp_path_factory.mktemp("graph") / "image.fxs"
    fxsim.trace(forward, fxsim.UQ(3, 0), shape=(6, 6, 1), name="image").save(path)
    return path


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--schedule", "streamed"], {"schedule": "streamed"}),
        (["--schedule", " streamed(row) "], {"schedule": "streamed(row)"}),
        (["--schedule", "streamed", "--axes", "0"], {"schedule": "streamed", "axes": (0,)}),
        (["--schedule", "folded(2)", "--axes", "x=whole"], {"schedule": "folded(2)", "axes": {"x": ()}}),
        (
            ["--schedule", "conv=folded(2)", "--schedule", "fc=folded(1)", "--schedule", "streamed"],
            {"schedule": {"conv": "folded(2)", "fc": "folded(1)", "*": "streamed"}},
        ),
        (["--schedule", "fc=unrolled"], {"schedule": {"fc": "unrolled"}}),
        (["--schedule", "auto", "--interval", "400"], {"schedule": "auto", "target": {"interval": 400}}),
        (
            ["--schedule", "auto", "--lut", "900", "--ram", "9000"],
            {"schedule": "auto", "target": {"lut": 900, "ram": 9000}},
        ),
        (
            ["--schedule", "auto", "--fps", "1e5", "--clock", "40"],
            {"schedule": "auto", "target": {"fps": 1e5, "clock_mhz": 40}},
        ),
        (
            ["--schedule", "auto", "--fps", "1e5", "--clock", "40", "--family", "ecp5"],
            {"schedule": "auto", "target": {"fps": 1e5}, "clock_mhz": 40, "family": "ecp5"},
        ),
    ],
)
def test_the_hardware_of_rtl_build(
    argv: list[str], options: dict[str, Any], image: Path, data: Data, tmp_path: Path
) -> None:
    status, found = data("verilog", image, "-o", tmp_path, "--samples", 2, *argv)
    core = rtl.build(fxsim.load(image), **options)
    assert status == 0 and (tmp_path / f"{core.top}.v").read_text() == core.verilog()
    assert (found["schedule"], found["interval"]) == (str(core.schedule), core.interval)
    assert (found["beats_in"], found["beats_out"]) == (core.beats_in, core.beats_out)
    assert (found["latency"], found["memory"]) == (core.latency, core.memory)
    assert found["choice"] == (core.choice.to_json() if options["schedule"] == "auto" else None)


def test_unrolled_hardware_has_no_beats(image: Path, data: Data, tmp_path: Path) -> None:
    status, found = data("verilog", image, "-o", tmp_path, "--samples", 2, "--schedule", "unrolled")
    assert status == 0 and "schedule" not in found and "beats_in" not in found


def test_lines(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["verilog", str(image), "-o", str(tmp_path), "--samples", "2"]
    assert main([*argv, "--schedule", "auto", "--interval", "400"]) == 0
    out = capsys.readouterr().out
    core = rtl.build(fxsim.load(image), schedule="auto", target={"interval": 400})
    assert f": a frame is {core.beats_in} beats in and 1 beat out, every {core.interval} cycles; " in out
    assert f"; {core.memory} memory bits\n{core.choice}\n" in out


def test_a_report_of_streamed_hardware(image: Path, data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["report", image, "--schedule", "folded(1)"]
    status, found = data(*argv)
    core = rtl.build(fxsim.load(image), schedule="folded(1)")
    assert status == 0 and found["memory"] == core.memory
    (report,) = found["reports"]
    assert (report["interval"], report["memory"], report["stages"]) == (core.interval, core.memory, None)
    assert [row["part"] for row in report["layers"]] == [p.name for p in core.network.parts]
    assert main([*map(str, argv)]) == 0
    out = capsys.readouterr().out
    assert "schedule folded(1): a frame is " in out and "memory bits" in out and "block RAM" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--schedule", "wide"], "schedule must be unrolled or one of streamed,"),
        (["--schedule", "other=folded(2)"], "must name blocks of the graph, ['conv', 'fc'] or *"),
        (["--schedule", "fc=folded(7)"], "pe of fc must be a product of a divisor of 3 and a divisor of 2"),
        (["--schedule", "streamed(7)"], "pixels per clock must be at most the 6 of a row of input"),
        (["--schedule", "streamed", "--schedule", "folded(1)"], "--schedule must be one for blocks without"),
        (["--schedule", "fc=streamed", "--schedule", "fc=folded(1)"], "must be one for block 'fc', not"),
        (["--schedule", "auto"], "--schedule auto needs one or more of --fps, --interval, --lut and --ram"),
        (["--schedule", "auto", "--schedule", "fc=folded(1)"], "--schedule auto must stand alone, not with"),
        (["--schedule", "streamed", "--lut", "100"], "--lut needs --schedule auto, not streamed"),
        (["--schedule", "fc=folded(1)", "--fps", "9"], "--fps needs --schedule auto, not fc=folded(1)"),
        (["--ram", "100"], "--ram needs --schedule auto, not unrolled"),
        (["--schedule", "auto", "--fps", "100"], "--fps needs --clock"),
        (["--axes", "0,1"], "--axes needs --schedule streamed, folded or auto"),
        (["--schedule", "streamed", "--axes", "0", "--axes", "x=1"], "--axes must name the input"),
        (["--schedule", "streamed", "--axes", "y=0"], "axes must name inputs of the graph, not ['y']"),
        (["--schedule", "streamed", "--axes", "7"], "axes of input 'x' must be different axes of (6, 6, 1)"),
        (["--schedule", "auto", "--interval", "2"], "target out of reach: at most 2 cycles per frame"),
        (["--schedule", "auto", "--lut", "20"], "target out of reach: at most 20 LUTs"),
    ],
)  # fmt: skip
def test_errors(
    argv: list[str], message: str, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["verilog", str(image), "-o", str(out), "--samples", "2", *argv]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.splitlines()[-1].startswith("error: ")
    assert not list(out.glob("*.v"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--axes", "rows"], "--axes: must be axes like 0,1, or whole, perhaps after INPUT=, not 'rows'"),
        (["--fps", "0"], "--fps: must be a positive number of frames per second"),
        (["--interval", "0"], "--interval: must be a whole number from 1"),
        (["--lut", "many"], "--lut: must be a whole number from 0"),
    ],
)
def test_bad_options(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(["verilog", "model.fxs", *argv])
    assert e.value.code == 2 and message in capsys.readouterr().err


def test_axes() -> None:
    assert axes("0,1") == (None, (0, 1)) and axes("x= 2") == ("x", (2,)) and axes("x=whole") == ("x", ())
    with pytest.raises(argparse.ArgumentTypeError):
        axes("")
