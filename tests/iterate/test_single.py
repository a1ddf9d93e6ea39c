"""One problem at a time in compiled code: every op on every operand, random graphs, and whole solves."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim import SQ, Overflow, iterate, ops
from fxsim.iterate import driver
from fxsim.iterate.single import TooWide, program
from tests.agreement.op_cases import CASES, OpCase
from tests.agreement.random_graphs import random_graph, stimulus


def known(case: OpCase) -> bool:
    """Whether the instructions have the case's overflow."""
    op = case.op
    kind = op.format if isinstance(op, ops.Accumulate) else op
    overflow = getattr(kind, "overflow", Overflow.WRAP)
    bits = getattr(kind, "n", 0) or getattr(kind, "saturation_bits", 0)
    return overflow in (Overflow.WRAP, Overflow.SAT, Overflow.SAT_SYM) and not bits


@pytest.mark.parametrize("group", range(8))
def test_every_op_on_every_operand(group: int) -> None:
    for case in CASES[group::8]:
        graph = case.graph()
        if not known(case):
            with pytest.raises(TooWide):
                program(graph)
            continue
        made, raw = program(graph), case.stimulus()
        wanted = graph.run_raw(*raw) if raw else graph.run_raw()
        for k in range(len(raw[0]) if raw else 1):
            found = made.call(*(a[k] for a in raw))[0]
            assert np.array_equal(found, wanted[k]), f"{case.name} at {[a[k].tolist() for a in raw]}"


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    raw = stimulus(graph, 8, seed)
    try:
        made = program(graph)
    except TooWide:
        return
    wanted = graph.run_raw(*raw)
    for k in range(8):
        found = made.call(*(a[k] for a in raw))
        for f, w in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            assert np.array_equal(f, w[k])


@pytest.mark.parametrize("schedule", [iterate.parallel(), iterate.sequential()], ids=lambda s: s.kind)
def test_one_by_one_and_all_at_once_agree(
    schedule: iterate.Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    M, b = rng.integers(-5, 6, (4, 4)), rng.integers(-99, 99, (3, 4))
    state = SQ(4, 6, overflow="SAT")
    u = iterate.unit(
        lambda x, b: (x @ (M.T / 16)) + b, {"x": (state, 4)}, {"b": (SQ(3, 6), 4)}, schedule=schedule,
        stop=(iterate.unchanged(), iterate.cycle()), cap=60,
    )  # fmt: skip
    alone = u.solve_raw(b=b, certified=False)
    monkeypatch.setattr(driver, "FEW", 0)
    together = u.solve_raw(b=b, certified=False)
    assert np.array_equal(alone.raw, together.raw)
    assert np.array_equal(alone.steps, together.steps) and np.array_equal(alone.codes, together.codes)


def test_wide_units_go_by_python_integers() -> None:
    state = SQ(40, 30, overflow="SAT")
    u = iterate.unit(lambda x: (x >> 1) + 1, {"x": (state, ())})
    assert u.single is None
    found = u.solve_raw(1 << 60, certified=False)
    assert found.status == "fixed" and abs(int(found.raw) - (2 << 30)) <= 2
