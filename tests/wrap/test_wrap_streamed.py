"""Cores of the streamed and folded schedules behind AXI and at a serial line: frames of many transfers."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import fxsim
import rtl
from fxsim import layers
from rtl import wrap
from rtl.bench import tools
from tests.wrap import wrap_bench

OUT = fxsim.Format(4, 2, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT)


def network(seed: int):
    """A convolution, a pooling and a dense layer; weights of 3 bits with all codes possible."""
    rng = np.random.default_rng(seed)
    conv, dense = rng.integers(-4, 4, (3, 3, 2, 4)), rng.integers(-4, 4, (16, 3))
    conv[0, 0, 0], dense[0] = -4, 3

    def forward(x):
        y = layers.conv2d(x, conv / 4, np.arange(4) / 4, padding=1, out=OUT, name="conv")
        y = layers.max_pool(y, 2, name="pool")
        return layers.dense(y.reshape(16), dense / 4, name="dense")

    return fxsim.trace(forward, fxsim.UQ(0, 3), shape=(4, 4, 2), name="net"), conv, dense


def test_frames_and_weights_over_axi(tmp_path):
    graph, _, _ = network(0)
    other, conv, dense = network(1)
    core = rtl.build(graph, schedule="folded(4)", writable=True)
    wrapped = wrap.axi_stream(core, registers=True)
    assert (wrapped.beats_in, wrapped.beats_out) == (core.beats_in, core.beats_out) == (16, 1)
    changes = core.weights.writes("conv", conv.reshape(18, 4)) + core.weights.writes("dense", dense)
    writes = [pair for address, word in changes for pair in wrapped.window.writes(address, word)]
    x = np.random.default_rng(2).integers(0, 8, (6, 4, 4, 2))
    octets = wrapped.encode(x)
    assert octets.shape == (6 * 16, 2)
    results = [
        wrapped.out_beat.encode([g.run_raw(x).reshape(6, *core.out_layout.ports[0].shape)])
        for g in (graph, other)
    ]
    assert not np.array_equal(*results)
    for g, rows in zip((graph, other), results, strict=True):
        np.testing.assert_array_equal(wrapped.decode(rows.tobytes())[0], g.run_raw(x))
    job = tmp_path / "job.npz"
    own, written = (r.reshape(6, 1, -1) for r in results)
    np.savez(job, inputs=octets.reshape(6, 16, -1), own=own, written=written, writes=np.array(writes))
    found = wrap_bench.run(
        wrapped.verilog(), wrapped.top, "tests.wrap.folded_testbench", tmp_path, JOB=str(job)
    )
    assert found == {"frames_and_weights": ""}


def test_the_text_is_clean(tmp_path):
    graph, _, _ = network(0)
    verilator = tools.verilator()
    for schedule, writable in (("streamed", False), ("folded(2)", True)):
        core = rtl.build(graph, schedule=schedule, **({"writable": True} if writable else {}))
        wrapped = wrap.axi_stream(core, registers=True)
        (tmp_path / "net.v").write_text(wrapped.verilog())
        done = subprocess.run(
            verilator.command("--lint-only", "-Wall", "--top-module", wrapped.top, str(tmp_path / "net.v")),
            capture_output=True, text=True, env=verilator.environment,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("schedule", ["streamed", "streamed(2)"])
def test_frames_at_a_serial_line(schedule):
    graph, _, _ = network(0)
    serial = wrap.Serial(rtl.build(graph, schedule=schedule), 4, 400)
    x = np.random.default_rng(3).integers(0, 8, (2, 4, 4, 2))
    (y,) = serial.run(wrap.SimulatedLine(serial, limit=20000), x)
    np.testing.assert_array_equal(y, graph.run_raw(x))


def test_the_window_of_weights():
    window = wrap.Window(3, 70)
    assert (window.words, window.stride, window.offset) == (3, 16, 128)
    assert window.writes(2, 1 << 69 | 5) == [(160, 5), (164, 0), (168, 32)]
    with pytest.raises(ValueError, match=r"address must be in 0\.\.7, not 8"):
        window.writes(8, 0)
    with pytest.raises(ValueError, match="word must be unsigned, of 70 bits, not -1"):
        window.writes(0, -1)
