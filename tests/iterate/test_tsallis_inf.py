"""The learner of omega: its probabilities, its update, and what it learns from units and from float64 SOR."""

from fractions import Fraction

import linear_figures
import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate.references.graphs import numgrid
from fxsim.iterate.tsallis_inf import TsallisInf
from fxsim.iterate.zoo.linear import poisson

UNIT = Fraction(1, 1 << 53)  # what float64 rounds off at most, of 1


def test_probabilities_solve_their_equation():
    learner = TsallisInf(range(7), seed=3)
    equal = learner.probabilities()
    assert len(equal) == 7 and np.ptp(equal) == 0
    assert abs(7 * Fraction(float(equal[0])) - 1) <= 8 * UNIT  # six sums and one quotient were rounded
    rng = np.random.default_rng(0)
    for _ in range(300):
        p = learner.probabilities()
        eta = 2 / np.sqrt(learner.rounds + 1)
        k = learner.losses / learner.scale
        # 2 / (eta sqrt(p_i)) = k_i / s - x for one x.
        x = k - 2 / (eta * np.sqrt(p))
        assert abs(sum(map(Fraction, p.tolist())) - 1) <= 8 * UNIT and np.ptp(x) < 1e-6 * (1 + abs(x[0]))
        arm = learner.pick()
        learner.update(1 + rng.integers(1, 50) + 10 * arm)
    assert learner.best == 0


def test_update_is_importance_weighted():
    learner = TsallisInf(("a", "b"), seed=1)
    arm = learner.arms.index(learner.pick())
    learner.update(31)
    assert learner.losses[arm] == 60 and learner.losses[1 - arm] == 0  # (31 - 1) / (1/2)
    assert (learner.scale, learner.rounds) == (30, 1)
    assert TsallisInf(range(9), 5).pick() == TsallisInf(range(9), 5).pick()
    idle = TsallisInf("ab")
    for _ in range(20):
        idle.pick()
        idle.update(1)
    assert idle.probabilities().tolist() == [0.5, 0.5]


def test_errors():
    with pytest.raises(ValueError, match="at least one"):
        TsallisInf(())
    learner = TsallisInf((1, 2))
    with pytest.raises(RuntimeError, match="must follow a pick"):
        learner.update(3)
    learner.pick()
    for cost in (0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cost must be"):
            learner.update(cost)


def test_units_report_and_the_learner_finds_their_best_omega():
    omegas = [Fraction(w) for w in ("1", "5/4", "3/2", "25/16", "7/4", "15/8")]
    b = linear_figures.square_loads(300, 36, 9, 14)
    steps = {}
    for w in omegas:
        s = poisson(numgrid("S", 8), w, frac=14, b=SQ(2, 14)).solve_raw(b=b)
        assert set(s.status) == {"fixed"}
        steps[w] = s.steps
    means = {w: float(np.mean(v)) for w, v in steps.items()}
    learner = TsallisInf(omegas, seed=0)
    costs = []
    for k in range(len(b)):
        costs.append(int(steps[learner.pick()][k]))
        learner.update(costs[-1])
    assert means[learner.best] <= min(means.values()) + 1
    assert np.mean(costs[200:]) < np.mean(costs[:50]) < max(means.values())


def test_shifted_laplacians_of_float64():
    learned, fixed, learner = linear_figures.learned_omega(250, side=6)
    assert learned[-80:].mean() < learned[:80].mean() < fixed[1.0]
    assert 1.3 < learner.best < 1.8
