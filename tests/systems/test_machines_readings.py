"""All machines of the layers side by side, as one: emulator, C++ class and Verilator, step by step."""

from __future__ import annotations

import numpy as np

import fxsim
from fxsim import SQ, UQ, Format, Machine
from fxsim.layers.error_feedback import econtrol, error_feedback
from fxsim.layers.lfsr import Lfsr
from fxsim.layers.muvera import Muvera, ternary_planes
from fxsim.layers.spsa import Spsa, descend, gaussian_bound, likelihood_regret, weighted_squares
from fxsim.layers.stochastic import stochastic_cast, stochastic_rounder
from tests.agreement import machine_readings, readings
from tests.agreement.random_graphs import merged


def saturating(int_bits: int, frac: int, rounding: str = "TRN") -> Format:
    return SQ(int_bits, frac, overflow="SAT", rounding=rounding)


DECODER = np.array([[1, 0.5], [-0.5, 1], [0.25, 0.25], [1, -1]])
ENCODER = np.array([[6, -3, 1, 5], [3, 8, 2, -4]]) / 16
ENCODING = Muvera(SQ(3, 2), ternary_planes((2, 2, 3)), ternary_planes((2, 2, 3), Lfsr(seed=0xBEEF)))
MACHINES: dict[str, Machine] = {
    "round": stochastic_rounder(SQ(6, 4), saturating(4, 0), (2, 3)),
    "slow": stochastic_rounder(SQ(4, 9), saturating(3, 1), (2,), Lfsr("lfsr32", 7), steps=3),
    "spsa": descend(Spsa(saturating(12, 0), 16, 10), weighted_squares([1, 2, 3, 4]), [256, -256, 128, 512]),
    "regret": likelihood_regret(
        Spsa(saturating(4, 4), 4, 20, Lfsr("lfsr24", 1)), gaussian_bound(DECODER, ENCODER),
        [0, 0], [SQ(4, 4)], [(4,)],
    ),
    "query": ENCODING.query(),
    "document": ENCODING.document(),
    "carry": error_feedback(SQ(4, 4), SQ(6, 0, rounding="RND"), (3,)),
    "sigma": error_feedback(SQ(2, 6), SQ(1, 0, rounding="RND_CONV", overflow="SAT"), (), SQ(4, 6)),
    "control": econtrol(
        SQ(4, 4), saturating(3, 1, "RND"), saturating(8, 4), saturating(5, 1), 2, (2,)
    ),
}  # fmt: skip


def stimulus(machine: Machine, streams: int, time: int) -> list[np.ndarray]:
    """Random codes; in the first streams every input stays at an end of its type, or goes between the two."""
    rng = np.random.default_rng(9)
    inputs = []
    for node in machine.step.inputs[machine.states :]:
        lo, hi = node.type.bounds
        x = rng.integers(lo, hi + 1, (streams, time, *node.type.shape))
        x[0], x[1], x[2, ::2], x[2, 1::2], x[3] = lo, hi, lo, hi, 0
        x[4] = rng.choice([lo, hi], x[4].shape)
        inputs.append(x)
    return inputs


def test_small_steps_for_every_operand():
    """Rounding, registers and the plain carry as graphs, for all codes of their inputs and states."""
    source, targets = SQ(4, 6), (SQ(4, 2), saturating(2, 2), SQ(3, 2, overflow="SAT_ZERO"))

    def rounded(x, r):
        return tuple(stochastic_cast(x, r, fmt) for fmt in targets)

    def stepped(s8, s16):
        return Lfsr("lfsr8", 1).step(s8, 3), Lfsr().step(s16), Lfsr().step(s16, 16)

    graphs = [
        fxsim.trace(rounded, source, UQ(4, 0)),
        fxsim.trace(stepped, UQ(8, 0), UQ(16, 0)),
        error_feedback(SQ(4, 4), SQ(6, 0, rounding="RND")).step,
    ]
    graph = merged(graphs, "small_steps")
    code = np.arange(1 << 16)
    raw = [
        (code & 1023) - 512, code >> 10 & 15, code & 255, code, (code & 31) - 16, (code >> 5 & 255) - 128,
    ]  # fmt: skip
    assert [(n.type.bounds[0], n.type.bounds[1]) for n in graph.inputs] == [(r.min(), r.max()) for r in raw]
    for reading in (readings.emulator, readings.cpp, readings.verilator):
        readings.check(graph, raw, reading)


def test_every_reading_gives_the_same_integers():
    machine = machine_readings.parallel(MACHINES)
    machine_readings.check(machine, *stimulus(machine, 255, 400))
