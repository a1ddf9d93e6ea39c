"""Seeded random graphs: emulator, Amaranth, C++, Verilator and z3 all give the table's integers."""

from __future__ import annotations

from functools import partial

import pytest

from fxsim import ops, smt
from fxsim.cost import cost
from tests.agreement import readings
from tests.agreement.random_graphs import MODES, merged, modes_of, ops_of, random_graph, stimulus

SEEDS = range(200)
BATCH = 50  # graphs in one shared library


def test_the_seeds_cover_every_op_and_every_mode_of_cast() -> None:
    graphs = [random_graph(s) for s in SEEDS]
    assert ops_of(graphs) == set(ops.ALL)
    assert modes_of(graphs) == {(r, o, n) for r, (o, n) in MODES}
    assert len({g.digest() for g in graphs}) == len(graphs)
    assert max(v.type.max_width for g in graphs for v in g.values) > 64


def test_a_seed_gives_one_graph() -> None:
    assert random_graph(3) == random_graph(3)
    assert random_graph(3) != random_graph(4)


@pytest.mark.parametrize("start", range(0, 500, 100))
def test_emulator(start: int) -> None:
    for seed in range(start, start + 100):
        g = random_graph(seed)
        readings.check(g, stimulus(g, 70, seed), readings.emulator)


@pytest.mark.parametrize("start", range(SEEDS.start, SEEDS.stop, BATCH))
def test_amaranth(start: int) -> None:
    for seed in range(start, start + BATCH):
        g = random_graph(seed)
        readings.check(g, stimulus(g, 16, seed), readings.amaranth)


@pytest.mark.parametrize("start", range(SEEDS.start, SEEDS.stop, BATCH))
def test_cpp(start: int) -> None:
    graphs = [random_graph(seed) for seed in range(start, start + BATCH)]
    for g, function in zip(graphs, readings.compiled(graphs), strict=True):
        readings.check(g, stimulus(g, 60, start), partial(readings.called, function))


@pytest.mark.parametrize("first", [8, 101, 153])
def test_verilator(first: int) -> None:
    """Six graphs in one module; the first of them is wider than 64 bits."""
    g = merged([random_graph(s) for s in range(first, first + 6)], f"merged_{first}")
    readings.check(g, stimulus(g, 200, first), readings.verilator)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_specification(start: int) -> None:
    for seed in range(start, start + 20):
        g = random_graph(seed)
        readings.check(g, stimulus(g, 6, seed), readings.specification)


def test_no_value_can_leave_its_type() -> None:
    """Proved by z3, value by value, where it decides within a second; no proof fails."""
    decided = 0
    for seed in range(30):
        proof = smt.prove_range(random_graph(seed), timeout=1.0)
        assert proof.status is not smt.Status.REFUTED, f"seed {seed}: {proof}"
        decided += bool(proof)
    assert decided >= 20


def test_every_graph_has_a_cost() -> None:
    for seed in range(100):
        total = cost(random_graph(seed)).total
        assert total.luts >= total.adders >= 0
