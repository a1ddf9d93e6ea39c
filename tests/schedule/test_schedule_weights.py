"""Weights written at run time: the hardware of one network computes another of the same shape."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.sim import Simulator

import fxsim
import rtl
from fxsim import layers, ops

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


def narrow(codes, last):
    """Weights of one sparse layer behind another, with sums and offsets in between that `codes` decide on."""
    conv, dense = np.zeros((3, 3, 2, 4), int), np.zeros((4, 3), int)
    conv[1, 1], conv[0, 0, 0] = codes, -4
    dense[0], dense[1] = last, -4

    def forward(x):
        y = layers.conv2d(x, conv, np.arange(4), padding=1, name="conv").relu()
        y = y.sum((0, 1))
        y = (y + 3).cast(fxsim.Format(6, 6, False, fxsim.Rounding.TRN, fxsim.Overflow.SAT))
        return layers.dense(y, dense, name="dense")

    graph = fxsim.trace(forward, fxsim.Format(3, 3, False), shape=(4, 4, 2))
    return graph, conv, dense


@pytest.mark.parametrize("schedule", ["folded(1)", "folded(4)", {"dense": "folded(3)", "*": "folded(2)"}])
def test_weights_that_reach_further(schedule):
    """Nothing between the layers may rest on what the first weights could reach."""
    graph, _, _ = narrow(0, 0)
    other, conv, dense = narrow(3, 3)
    core = rtl.build(graph, schedule=schedule, writable=True)
    x = np.random.default_rng(5).integers(0, 8, (3, 4, 4, 2))
    x[0] = 7
    changes = core.weights.writes("conv", conv.reshape(18, 4)) + core.weights.writes("dense", dense)
    np.testing.assert_array_equal(written(core, changes, x), other.run_raw(x))
    assert not all(o.type.covers(g.type) and g.type.covers(o.type)
                   for o, g in zip(other.outputs, graph.outputs, strict=True))  # fmt: skip


def test_table_that_lacks_codes_of_other_weights():
    weights = np.array([[1, 0], [0, -4]])

    def forward(x):
        y = layers.dense(x, weights, name="dense")
        return y.builder.apply(ops.Table(np.arange(80), base=-40), y)

    graph = fxsim.trace(forward, fxsim.Format(3, 3, False), shape=(2,))
    with pytest.raises(ValueError, match=r"weights of dense cannot be written.*Table"):
        rtl.build(graph, schedule="folded(1)", writable=True)
