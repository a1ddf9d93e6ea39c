"""SPSA on integers: the worked descent, other sizes and fractions, its mean, and the likelihood regret."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format
from fxsim.layers.lfsr import Lfsr
from fxsim.layers.spsa import Spsa, descend, gaussian_bound, likelihood_regret, weighted_squares

SAT12 = SQ(12, 0, overflow="SAT")


def reference(q, loss, c, shift, register, format, steps):
    """Parameters after every step, by plain integers; `loss` of a list of raw parameters is raw."""
    state, out = register.seed, []
    for _ in range(steps):
        signs = []
        while len(signs) < len(q):
            state = register.next(state)
            signs += [2 * (state >> k & 1) - 1 for k in range(0, register.width, 4)][: len(q) - len(signs)]
        up, down = ([a + sign * c * d for a, d in zip(q, signs, strict=True)] for sign in (1, -1))
        difference = loss(up) - loss(down)
        q = [a - (difference * d >> shift) for a, d in zip(q, signs, strict=True)]
        q = [min(max(a, format.lo), format.hi) for a in q]
        out.append(q)
    return out


def squares(q):
    return sum((i + 1) * v * v for i, v in enumerate(q))


def test_the_worked_descent():
    """Section 9: loss after 1, 50, 400 steps, and the final parameters."""
    method = Spsa(SAT12, c=16, shift=10, lfsr=Lfsr("lfsr16", 0xACE1))
    machine = descend(method, weighted_squares([1, 2, 3, 4]), [256, -256, 128, 512])
    (q, loss), (last, _) = machine.free_run(1, 400)
    assert loss[0, [0, 49, 399]].tolist() == [1225344, 1113, 120]
    assert last[0].tolist() == q[0, -1].tolist() == [8, 2, 4, 0]
    want = reference([256, -256, 128, 512], squares, 16, 10, method.lfsr, SAT12, 400)
    assert q[0].tolist() == want and loss[0].tolist() == [squares(v) for v in want]


@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("name", ["lfsr8", "lfsr24"])
def test_any_number_of_parameters_and_a_saturating_format(name, size):
    """More parameters than a state gives signs take further steps of the register."""
    small, register = SQ(6, 0, overflow="SAT"), Lfsr(name, 5)
    start = [(-1) ** k * (31 - k) for k in range(size)]
    machine = descend(Spsa(small, 3, 2, register), weighted_squares(range(1, size + 1)), start)
    (q, _), _ = machine.free_run(1, 60)
    assert q[0].tolist() == reference(start, squares, 3, 2, register, small, 60)


def test_fractions_count_raw_integers():
    """dL is taken raw, at the frac of the loss; the update is raw at the frac of the parameters."""
    fmt, register = SQ(5, 3, overflow="SAT"), Lfsr()

    def loss(q):
        return (q * q * 0.5).sum()  # frac 3 + 3 + 1

    (q, value), _ = descend(Spsa(fmt, 2, 4, register), loss, [40, -21]).free_run(1, 50)
    want = reference([40, -21], lambda v: sum(a * a for a in v), 2, 4, register, fmt, 50)
    assert q[0].tolist() == want and value[0].tolist() == [sum(a * a for a in v) for v in want]


def test_the_mean_over_all_signs_is_the_gradient():
    """Of a quadratic loss exactly: the mean of dL D_i / 2c over all signs is dL/dq_i (here 2 i q_i)."""
    q, c = [5, -3, 2], 4
    for i in range(3):
        total = Fraction(0)
        for d in product((-1, 1), repeat=3):
            up, down = ([a + s * c * b for a, b in zip(q, d, strict=True)] for s in (1, -1))
            total += Fraction((squares(up) - squares(down)) * d[i], 2 * c)
        assert total / 8 == 2 * (i + 1) * q[i]


def test_likelihood_regret():
    """A stream is one x: parameters and regret by Fractions. At an optimum the steps dither around 0."""
    decoder = np.array([[1, 0.5], [-0.5, 1], [0.25, 0.25], [1, -1]])
    encoder = np.array([[6, -3, 1, 5], [3, 8, 2, -4]]) / 16
    fmt, register = SQ(4, 4, overflow="SAT"), Lfsr("lfsr24", 1)
    method = Spsa(fmt, 4, 20, register)
    machine = likelihood_regret(method, gaussian_bound(decoder, encoder), [0, 0], [SQ(4, 4)], [(4,)])
    rng = np.random.default_rng(3)
    x = np.repeat(rng.integers(-128, 128, (6, 1, 4)), 80, axis=1)
    (regret, q), _ = machine.run_raw(x)
    frac = machine.step.outputs[2].type.frac

    def loss(parameters, sample):
        mean = [
            sum(Fraction(encoder[i, j]) * Fraction(int(sample[j]), 16) for j in range(4))
            + Fraction(parameters[i], 16)
            for i in range(2)
        ]
        rest = [
            Fraction(int(sample[j]), 16) - sum(Fraction(decoder[j, i]) * mean[i] for i in range(2))
            for j in range(4)
        ]
        return int((sum(r * r for r in rest) + sum(m * m for m in mean)) * 2**frac)

    for k in range(6):
        want = reference([0, 0], lambda v, s=x[k, 0]: loss(v, s), 4, 20, register, fmt, 80)
        assert q[k].tolist() == want
        start = loss([0, 0], x[k, 0])
        assert regret[k].tolist() == [start - loss(v, x[k, 0]) for v in want]
    assert regret[:, -1].max() > 10 * -regret[:, -1].min() > 0


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="c of SPSA must be an integer of at least 1, not 0"):
        Spsa(SAT12, 0, 1)
    with pytest.raises(ValueError, match="shift of SPSA must be an integer of at least 0, not -1"):
        Spsa(SAT12, 1, -1)
    with pytest.raises(ValueError, match=r"start must be a vector .* not of shape \(\)"):
        descend(Spsa(SAT12, 1, 1), squares, 3)
    with pytest.raises(ValueError, match=r"loss must be a scalar, not of shape \(2,\)"):
        descend(Spsa(SAT12, 1, 1), lambda q: q * q, [1, 2])
    with pytest.raises(ValueError, match="init of state 'q' must lie in its type"):
        descend(Spsa(SQ(3, 0), 1, 1), weighted_squares([1]), [9])


def test_the_step_is_one_block_of_ordinary_ops():
    method = Spsa(Format.parse("ap_fixed<12,12,AP_TRN,AP_SAT>"), 16, 10)
    graph = fxsim.trace(
        lambda q, s: method.step(q, s, weighted_squares([1, 2])), SAT12, UQ(16, 0), shape=[(2,), ()]
    )
    assert [b.kind for b in graph.blocks if b.parent is None] == ["spsa"]
