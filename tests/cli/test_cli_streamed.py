"""`fxsim verify` of streamed hardware: schedules, probes, the waveform around a difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import layers
from fxsim.cli import main

Data = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution and a pooling of 4 x 4 pixels."""
    weights = np.random.default_rng(4).integers(-4, 5, (3, 3, 2, 3)) / 4
    out = fxsim.Format(4, 2, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT)

    def forward(x: Any) -> Any:
        y = layers.conv2d(x, weights, np.zeros(3), padding=1, out=out, name="conv")
        return layers.max_pool(y, 2, name="pool")

    path = tmp_path_factory.mktemp("graph") / "image.fxs"
    fxsim.trace(forward, fxsim.UQ(0, 3), shape=(4, 4, 2)).with_name("image").save(path)
    return path


def test_probes(image: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["verify", image, "--schedule", "streamed", "--simulator", "native", "--samples", 12, "--probe"]
    status, found = data(*command, "--idle", "0.3", "--backpressure", "0.3")
    assert (status, found["vectors"], found["mismatches"]) == (0, 12, 0)
    assert found["links"] >= 4 and found["first_probe"] is None and found["waves"] is None
    core = rtl.build(fxsim.load(image), schedule="streamed")
    assert (found["schedule"], found["interval"]) == ("streamed", core.interval)
    assert not list(tmp_path.iterdir())


def test_a_wrong_block(
    image: Path,
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rtl.schedule.core import StreamCore

    right = StreamCore.verilog

    def wrong(core: StreamCore, probe: bool = False) -> str:
        text = right(core, probe)
        assert text.count(".o__payload(o__payload)") == 1
        text = text.replace(".o__payload(o__payload)", ".o__payload(spoiled)")
        return text.replace(
            "endmodule", "wire [11:0] spoiled; assign o__payload = spoiled ^ 12'd1;\nendmodule", 1
        )

    monkeypatch.setattr(StreamCore, "verilog", wrong)
    monkeypatch.chdir(tmp_path)
    command = ["verify", image, "--schedule", "streamed", "--simulator", "native", "--samples", 12]
    status, found = data(*command, "--probe")
    first = found["first_probe"]
    assert status == 1 and found["mismatches"] == 48
    assert (first["part"], first["sample"], first["index"]) == ("pool", 0, [0, 0, 0])
    assert first["got"] == first["want"] ^ 1
    assert found["waves"] == first["waves"] == "build/probe/image.vcd"
    assert (tmp_path / found["waves"]).read_text().startswith("$comment")
    assert main([*map(str, command), "--probe", "--waves", "mine.vcd"]) == 1
    out = capsys.readouterr().out
    assert "first block that differs: pool (" in out and "waves in mine.vcd" in out
    assert (tmp_path / "mine.vcd").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--probe"], "--probe needs --schedule streamed or folded"),
        (
            ["--schedule", "streamed", "--probe", "--simulator", "amaranth"],
            "--probe needs --simulator cocotb",
        ),
        (["--schedule", "streamed", "--probe", "--waves", "x.fst"], "--waves must end in .vcd with --probe"),
        (["--schedule", "wide"], "schedule must be unrolled or one of"),
    ],
)
def test_errors(arguments: list[str], message: str, image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(image), "--samples", "2", *arguments]) == 2
    assert message in capsys.readouterr().err
