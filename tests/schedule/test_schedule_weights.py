"""Weights written at run time: the hardware of one network computes another of the same shape."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.sim import Simulator

import fxsim
import rtl
from fxsim import layers

OUT = fxsim.Format(4, 2, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT)


def network(seed):
    """A convolution, a pooling and a dense layer; weights of 3 bits with all codes possible."""
    rng = np.random.default_rng(seed)
    conv, dense = rng.integers(-4, 4, (3, 3, 2, 4)), rng.integers(-4, 4, (16, 3))
    conv[0, 0, 0], dense[0] = -4, 3

    def forward(x):
        y = layers.conv2d(x, conv / 4, np.arange(4) / 4, padding=1, out=OUT, name="conv")
        y = layers.max_pool(y, 2, name="pool")
        return layers.dense(y.reshape(16), dense / 4, name="dense")

    return fxsim.trace(forward, fxsim.UQ(0, 3), shape=(4, 4, 2)), conv, dense


def written(core, changes, frames):
    """Every frame's result of the core after these (address, word) are written, in Amaranth's simulator."""
    beats = core.in_layout.integers(core.in_layout.pack([core.input_forms[0].split(frames)]))
    wanted = len(frames) * core.beats_out
    got = []

    async def bench(ctx):
        ctx.set(core.w__enable, 1)
        for address, word in changes:
            ctx.set(core.w__address, address)
            ctx.set(core.w__data, word)
            await ctx.tick()
        ctx.set(core.w__enable, 0)
        ctx.set(core.o.ready, 1)
        sent = 0
        for _ in range(20000):
            ctx.set(core.i.valid, sent < len(beats))
            ctx.set(core.i.payload, beats[min(sent, len(beats) - 1)])
            if ctx.get(core.o.valid):
                got.append(ctx.get(core.o.payload))
            sent += sent < len(beats) and bool(ctx.get(core.i.ready))
            if len(got) == wanted:
                return
            await ctx.tick()

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    words = np.array(
        [[v >> 32 * k & 0xFFFFFFFF for k in range(core.out_layout.words)] for v in got], np.uint32
    )
    return core.output_forms[0].merge(core.out_layout.unpack(words)[0])


@pytest.mark.parametrize("schedule", ["folded(1)", "folded(4)"])
def test_other_weights(schedule):
    graph, _, _ = network(0)
    other, conv, dense = network(1)
    assert graph.digest() != other.digest()
    core = rtl.build(graph, schedule=schedule, writable=True)
    x = np.random.default_rng(2).integers(0, 8, (5, 4, 4, 2))
    changes = core.weights.writes("conv", conv.reshape(18, 4)) + core.weights.writes("dense", dense)
    biases_agree = other.run_raw(x)
    np.testing.assert_array_equal(written(core, changes, x), biases_agree)
    np.testing.assert_array_equal(written(core, [], x), graph.run_raw(x))
    assert not np.array_equal(graph.run_raw(x), other.run_raw(x))


def test_verilog_without_writes_has_its_own_weights():
    graph, _, _ = network(0)
    core = rtl.build(graph, schedule="folded(2)", writable=True)
    x = np.random.default_rng(3).integers(0, 8, (20, 4, 4, 2))
    result = rtl.verify(core, x, raw=True, simulator="native", idle=0.3, backpressure=0.3)
    assert (result.vectors, result.mismatches) == (20, 0)


def test_verilog_port_reaches_every_bank():
    """The banks' places in the text are those that `writes` counts with."""
    graph, _, _ = network(0)
    core = rtl.build(graph, schedule="folded(2)", writable=True)
    text, weights = core.verilog(), core.weights
    assert f"input [{weights.address_bits - 1}:0] w__address" in text
    for k, bank in enumerate(weights.banks):
        assert bank.base == k << weights.word_bits
        assert f"(w__address[{weights.address_bits - 1}:{weights.word_bits}] == 1'd{k})" in text
        assert f".w__address({bank.part}__w__address)" in text


def test_bad_weights():
    graph, conv, _ = network(0)
    weights = rtl.build(graph, schedule="folded(2)", writable=True).weights
    with pytest.raises(KeyError, match="'pool'"):
        weights.writes("pool", conv)
    with pytest.raises(ValueError, match=r"shape \(18, 4\), not \(3, 3, 2, 4\)"):
        weights.writes("conv", conv)
    with pytest.raises(ValueError, match=r"in -4\.\.3, not"):
        weights.writes("conv", conv.reshape(18, 4) * 2)
    with pytest.raises(TypeError, match="integers, not float64"):
        weights.writes("conv", conv.reshape(18, 4) / 4)
    assert rtl.build(graph, schedule="folded(2)").weights is None
