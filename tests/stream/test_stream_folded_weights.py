"""Weights of folded layers: their encodings, writing them at run time, what they become on an FPGA."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth import ClockDomain, Elaboratable, Module
from amaranth.sim import Simulator
from folded_bench import Case, convolved

from rtl.stream.folded_shifts import fields, terms_of
from rtl.synth import synthesize

PADDED = {
    "height": 5, "width": 4, "elements": 4, "out": 4, "kernel": (3, 3), "before": (1, 1), "after": (1, 1),
}  # fmt: skip


@pytest.mark.parametrize("most", [1, 2, 3, 10, 200])
def test_fields_add_up_to_the_weights(most):
    weights = np.arange(-most, most + 1).reshape(-1, 1)
    f = fields(weights)
    assert f.shift.shape == (2 * most + 1, 1, terms_of(weights)) and f.shift.min() >= 0
    assert np.array_equal(f.present * ((1 + 2 * f.sign) << f.shift).sum(-1), weights)
    assert terms_of(weights) == 1 or f.present.all()


def test_absent_weights_shift_as_far_as_others_of_their_lane():
    f = fields(np.array([[0, 0], [4, -2], [8, 0], [0, 0]]))
    assert f.shift[..., 0].tolist() == [[2, 1], [2, 1], [3, 1], [2, 1]]


def test_auto_takes_shifts_of_powers_of_two_and_codes_of_others():
    powers = np.random.default_rng(0).choice([0, 1, -1, 2, -2, 8], (3, 3, 4, 4))
    for weights, expected in ((powers, "shifts"), (powers * 3, "codes"), (powers * 0 + 4, "codes")):
        assert Case(1, "dut", weights=weights, **PADDED).made.encoding == expected
    assert Case(1, "dut", weights=powers, writable=True, **PADDED).made.encoding == "codes"
    with pytest.raises(ValueError, match="encoding of layer must be codes where its weights are writable"):
        Case(1, "dut", weights=powers, writable=True, encoding="shifts", **PADDED)


def test_equal_weights_need_no_memory():
    for weights in (np.full((3, 3, 4, 4), 5), np.zeros((3, 3, 4, 4), int)):
        feeder = Case(1, "dut", weights=weights, **PADDED).made.feeder
        assert (feeder.w_bits, len(feeder.rom)) == (0, 0)
        assert feeder.memory == 16 << feeder.address_bits


class Wired(Elaboratable):
    """The feeder, core and sum of a layer, and the pins of all of them."""

    _MustUse__silence = True

    def __init__(self, case: Case) -> None:
        found = {part.name: part.component() for part in case.made.parts}
        self.parts = {k: made for k, (made, _) in found.items()}
        self.feed, self.mac, self.sum = (pins for _, pins in found.values())

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        for name, part in self.parts.items():
            m.submodules[name] = part
        for a, b in ((self.feed, self.mac), (self.mac, self.sum)):
            m.d.comb += [
                b["i__payload"].eq(a["o__payload"]), b["i__valid"].eq(a["o__valid"]),
                a["o__ready"].eq(b["i__ready"]),
            ]  # fmt: skip
        return m


@pytest.mark.parametrize("depthwise", [False, True])
def test_written_weights_take_the_place_of_the_first_ones(depthwise):
    p = PADDED | {"depthwise": depthwise, "pe": 2, "fill": -2, "writable": True, "code_bits": 5}
    case, other = (Case(1, "dut", w_range=r, frames=1, **p) for r in ((-3, 3), (-16, 15)))
    padding = {"stride": (1, 1), "dilation": (1, 1), "before": (1, 1), "after": (1, 1), "fill": -2}
    x = case.inputs.reshape(1, 5, 4, 4)
    expected = [convolved(x, c.weights, **padding).reshape(-1, case.made.po) for c in (case, other)]
    words, out = case.words()[0], case.layouts[1]
    wanted = [v for y in expected for v in out.integers(out.pack(y))]
    wired, got = Wired(case), []

    async def bench(ctx):
        feed, y = wired.feed, wired.sum
        ctx.set(y["o__ready"], 1)
        # The second frame waits for its first word, which comes when its weights are there.
        for turn in range(2):
            left = list(words)
            for _ in range(3000):
                ctx.set(feed["i__payload"], left[0] if left else 0)
                ctx.set(feed["i__valid"], bool(left))
                if ctx.get(y["o__valid"]):
                    got.append(ctx.get(y["o__payload"]))
                if left and ctx.get(feed["i__ready"]):
                    left.pop(0)
                await ctx.tick()
                if len(got) == (turn + 1) * len(wanted) // 2:
                    break
            for address, word in enumerate(other.made.feeder.rom):
                ctx.set(feed["w__address"], address)
                ctx.set(feed["w__data"], word)
                ctx.set(feed["w__enable"], 1)
                await ctx.tick()
            ctx.set(feed["w__enable"], 0)

    simulator = Simulator(wired)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(case.made.feeder.rom) == len(other.made.feeder.rom)
    assert got == wanted


def test_memories_become_block_ram():
    p = PADDED | {"height": 16, "width": 16, "elements": 16, "out": 16, "bits": 8, "w_range": (-31, 31)}
    found = {}
    for pe in (1, 4):
        case = Case(1, f"folded_{pe}", frames=1, pe=pe, **p)
        made = synthesize(case.net.verilog([]), case.net.top, "ecp5")
        found[pe] = made.lut
        feeder = case.made.feeder
        assert feeder.memory == (128 << 6) + 2304 * 6
        # 128 bits take four blocks of 36, the weights one or two of 18 kbit; registers hold nothing of them.
        assert made.bram in (5, 6) and made.lutram == made.dsp == made.other == 0
        assert made.ff < 300
    assert found[1] < 420 and found[4] < 820
