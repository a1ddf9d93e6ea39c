"""Hopfield nets: recall, falling energy, cycles of two in parallel, dense and diluted patterns, refusals."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from fxsim.iterate.schedules import parallel, sequential
from fxsim.iterate.zoo.hopfield import (
    dense_hopfield,
    digit_patterns,
    energy,
    example,
    hebbian,
    hopfield,
    reference,
)


def flipped(patterns, flips, rng):
    found = patterns.copy()
    for row in found:
        row[rng.permutation(len(row))[:flips]] *= -1
    return found


def test_few_patterns_come_back_from_twelve_flips_and_parallel_has_period_one():
    rng = np.random.default_rng(6)
    patterns = rng.choice([-1, 1], (6, 128))
    W = hebbian(patterns)
    wanted = patterns[np.arange(30) % 6]
    start = flipped(wanted, 12, rng)
    for schedule in (sequential(), parallel()):
        found = hopfield(W, schedule=schedule).solve_raw(start)
        assert np.array_equal(found.raw, wanted) and np.all(found.status == "fixed")


@pytest.mark.parametrize("order", [None, np.random.default_rng(1).permutation(12)])
def test_every_sweep_lowers_the_energy_and_ends_where_a_plain_loop_does(order):
    rng = np.random.default_rng(2)
    W = rng.integers(-5, 6, (12, 12))
    W = np.triu(W, 1) + np.triu(W, 1).T
    start = rng.choice([-1, 1], (200, 12))
    found = hopfield(W, schedule=sequential(order)).solve_raw(start, history=True)
    assert np.all(found.status == "fixed")
    E = energy(W, found.history)
    moved = np.any(found.history[1:] != found.history[:-1], -1)
    assert np.array_equal(E[1:] < E[:-1], moved) and not np.any(E[1:] > E[:-1])
    if order is None:
        assert np.array_equal(found.raw, reference(W, start).astype(int))


def test_in_parallel_every_start_ends_in_one_or_two_states():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(40):
        W = rng.integers(-3, 4, (9, 9))
        W = np.triu(W, 1) + np.triu(W, 1).T
        unit = hopfield(W, schedule=parallel(), cap=200)
        found = unit.solve_raw(rng.choice([-1, 1], (20, 9)))
        twice = unit.solve_raw(found.raw, history=True).history
        assert np.array_equal(twice[2] if len(twice) > 2 else twice[-1], found.raw)
        seen |= set(found.status)
    assert seen == {"fixed", "cycle"}


@pytest.mark.parametrize("count", [64, 256])
def test_a_dense_net_holds_more_patterns_than_it_has_spins(count):
    rng = np.random.default_rng(count)
    patterns = rng.choice([-1, 1], (count, 64))
    found = dense_hopfield(patterns, 4).solve_raw(flipped(patterns[:20], 6, rng))
    assert np.array_equal(found.raw, patterns[:20]) and np.all(found.status == "fixed")


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_dense_net_follows_its_energy(order):
    rng = np.random.default_rng(order)
    patterns = rng.integers(-1, 2, (5, 10))
    start = rng.choice([-1, 1], (100, 10))
    history = dense_hopfield(patterns, order).solve_raw(start, history=True).history
    E = -np.sum((history @ patterns.T) ** order, -1)
    assert np.array_equal(E[1:] < E[:-1], np.any(history[1:] != history[:-1], -1))
    if order == 2:
        # F(o + 1) - F(o - 1) = 4 o: the classical net.
        assert np.array_equal(history[-1], reference(hebbian(patterns), start).astype(int))


def test_diluted_patterns_are_recalled_together():
    rng = np.random.default_rng(5)
    n, d = 160, 0.3
    patterns = rng.choice([-1, 0, 1], (2, n), p=[(1 - d) / 2, d, (1 - d) / 2])
    start = np.where(patterns[0] != 0, patterns[0], rng.choice([-1, 1], (8, n)))
    found = hopfield(hebbian(patterns)).solve_raw(start)
    overlaps = np.abs(found.raw @ patterns.T) / n
    assert np.all(np.abs(overlaps - [1 - d, (1 - d) * d]) < 0.06)


def test_the_energy_is_the_proof_and_belongs_to_its_net():
    patterns = np.random.default_rng(8).choice([-1, 1], (3, 9))
    units = [hopfield(hebbian(patterns)), dense_hopfield(patterns, 4), dense_hopfield(patterns, 3)]
    for unit in units:
        assert unit.certify().terminates_by == "finite"
    assert hopfield(hebbian(patterns), schedule=parallel()).certify().terminates_by == "cycle"
    for proof, text in ((units[0].proofs, "W of IntegerEnergy"), (units[1].proofs, "patterns and order of")):
        other = units[2] if proof is units[1].proofs else hopfield(hebbian(patterns[:2]))
        with pytest.raises(ValueError, match=text):
            replace(other, proofs=proof).certify()
    at_once = dense_hopfield(patterns, 4, schedule=parallel())
    with pytest.raises(ValueError, match="DenseEnergy must be of one component at a time"):
        replace(at_once, proofs=units[1].proofs).certify()


def test_ties_keep_the_spin():
    W = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
    found = hopfield(W).solve_raw([[1, 1, -1], [-1, 1, -1]])
    # Component 0 sees 1 - 1 = 0 and stays; the others follow it.
    assert found.raw.tolist() == [[1, 1, 1], [-1, -1, -1]]


def test_example():
    shown = example()
    found = shown.solve()
    assert not np.any(shown.errors(found)) and np.all(found.status == "fixed")
    assert np.array_equal(found.raw, np.repeat(digit_patterns(), 4, axis=0))
    assert sys.modules["fxsim.iterate.zoo.hopfield"].__all__ == ["dense_hopfield", "hopfield"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: hopfield([[0, 1], [2, 0]]), "weights must be symmetric with a zero diagonal"),
        (lambda: hopfield([[1, 0], [0, 0]]), "weights must be symmetric with a zero diagonal"),
        (lambda: hopfield([[0, 0.5], [0.5, 0]]), "weights must be a square matrix of integers"),
        (lambda: hopfield([1, 2]), "weights must be a square matrix of integers"),
        (lambda: dense_hopfield([[1, 2]]), "patterns must be rows of -1, 0 and 1"),
        (lambda: dense_hopfield([[1, -1]], 1), "order must be an integer of at least 2"),
        (lambda: hebbian([1, -1]), "patterns must be rows of -1, 0 and 1"),
    ],
)
def test_refuses(make, text):
    with pytest.raises(ValueError, match=text):
        make()
