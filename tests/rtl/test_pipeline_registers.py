"""Schedules: every operand at hand, no stage too long, the fewest registers (against two other methods)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

import fxsim
import rtl
from rtl.lower.netlist import Net, Netlist, Wire
from rtl.pipeline import Schedule, schedule
from rtl.timing import GENERIC, Delay, Family
from rtl.timing.logic import VIEWS

WIDE = Family(
    "wide", "ns", 4, 0.5, {**dict(GENERIC.delays), "add": Delay(0.4, bit=0.11), "mux": Delay(0.7)}, "made up"
)


def random_nets(rng: np.random.Generator, size: int) -> list[Net]:
    """Outputs of a netlist of about `size` primitives over three inputs, slices and shifts among them."""
    nl = Netlist()
    nets = [nl.input(8 * k, -(1 << k + 1), 3).net for k in range(3)]
    while len(nets) < size + 3:
        a, b, c = (nets[i] for i in rng.integers(max(0, len(nets) - 5), len(nets), size=3))
        kind = rng.choice(["add", "add", "sub", "sub", "shr", "shr", "shl", "mux", "cat"])
        match kind:
            case "add" | "sub":
                lo, hi = (a.lo + b.lo, a.hi + b.hi) if kind == "add" else (a.lo - b.hi, a.hi - b.lo)
                net = nl.net(kind, (0, 0), (a, b), lo, hi)
            case "shr":
                k = int(rng.integers(0, 3))
                net = nl.net("shr", (k,), (a,), a.lo >> k, a.hi >> k) if k else nl.low(Wire(a), 2).net
            case "shl":
                net = nl.code(Wire(a, 1), 0)
            case "mux":
                net = nl.net("mux", (), (nl.bit(Wire(c), 0).net, a, b), min(a.lo, b.lo), max(a.hi, b.hi))
            case _:
                net = nl.cat([(Wire(a), a.width), (Wire(b), 2)], False).net
        if not net.is_constant and net not in nets:
            nets.append(net)
    return [nets[-1], *(nets[int(i)] for i in rng.integers(0, len(nets), size=2))]


def check(plan: Schedule, outputs: list[Net], family: Family, most: float) -> None:
    """Raises AssertionError where a value is read that is not there, or a path of a stage is too long."""

    def at_hand(net: Net, at: int) -> bool:
        return net.is_constant or plan.stage[net] <= at <= plan.until[net]

    for net in plan.nets:
        assert plan.stage[net] <= plan.first_register(net) <= plan.until[net] <= plan.stages
        assert 0 <= plan.stage[net] < plan.stages and (net.kind != "input" or plan.stage[net] == 0)
        last = plan.first_register(net) if net.kind in VIEWS else plan.stage[net]
        for at in range(plan.stage[net], last + 1):
            assert all(at_hand(a, at) for a in net.args)
    assert all(at_hand(net, plan.stages) for net in outputs)
    assert max(plan.delays(family)) <= most + 1e-9


def exhaustive(plan: Schedule, outputs: list[Net], family: Family, most: float) -> int:
    """The fewest register bits of all schedules with the stages of `plan`, by trying them."""
    cells = [n for n in plan.nets if n.kind not in VIEWS]
    best = 1 << 60
    for choice in product(*(range(1 if n.kind == "input" else plan.stages) for n in cells)):
        stage = dict(zip(cells, choice, strict=True))
        for net in plan.nets:
            if net.kind in VIEWS:
                stage[net] = stage[net.args[0]]
        if any(stage[a] > stage[n] for n in plan.nets for a in n.args if not a.is_constant):
            continue
        tried = Schedule(plan.nets, stage, dict(stage), plan.stages)
        if max(tried.delays(family)) > most + 1e-9:
            continue
        best = min(best, _least_lifetimes(tried, outputs))
    return best


def _least_lifetimes(plan: Schedule, outputs: list[Net]) -> int:
    """The fewest register bits of all choices of `until`: one with views may be kept beyond its readers."""
    viewed = [n for n in plan.nets if any(v.kind in VIEWS and n is v.args[0] for v in plan.nets)]
    best = 1 << 60
    for extra in product(range(plan.stages + 1), repeat=len(viewed)):
        longer = dict(zip(viewed, extra, strict=True))
        until = {n: plan.stages if n in outputs else max(plan.stage[n], longer.get(n, 0)) for n in plan.nets}
        for net in reversed(plan.nets):
            for a in net.args:
                if not a.is_constant and net.kind not in VIEWS:
                    until[a] = max(until[a], plan.stage[net])
                elif net.kind == "shl":
                    until[a] = max(until[a], until[net])
        tried = Schedule(plan.nets, plan.stage, until, plan.stages)
        try:
            check(tried, outputs, GENERIC, float("inf"))
        except AssertionError:
            continue
        best = min(best, tried.registers)
    return best


@pytest.mark.parametrize("family", [GENERIC, WIDE], ids=lambda f: f.name)
@pytest.mark.parametrize("seed", range(40))
def test_no_schedule_has_fewer_registers(seed, family):
    outputs = random_nets(np.random.default_rng(seed), 8)
    slowest = max(family.delay(n) for n in schedule(outputs, None).nets)
    for most in (slowest, 1.7 * slowest, 2.5 * slowest):
        plan = schedule(outputs, (family, most))
        check(plan, outputs, family, most)
        if plan.stages ** sum(n.kind not in VIEWS for n in plan.nets) > 100_000:
            continue
        assert plan.registers == exhaustive(plan, outputs, family, most)


def linear_programme(plan: Schedule, outputs: list[Net], family: Family, most: float) -> float:
    """The same minimum by linear programming, every pair of cells that a too long path joins a constraint."""
    index = {n: i for i, n in enumerate(plan.nets)}
    n = len(plan.nets)
    rows: list[tuple[int, int, int]] = []  # x[head] - x[tail] >= gap; x = (stage, kept)
    cost = np.zeros(2 * n)
    last = plan.stages - 1
    bounds = [(0, 0 if net.kind == "input" else last) for net in plan.nets]
    bounds += [(plan.stages if net in outputs else 0, plan.stages) for net in plan.nets]
    far: dict[tuple[int, int], float] = {}
    for net in plan.nets:
        i, args = index[net], [index[a] for a in net.args if not a.is_constant]
        view = net.kind in VIEWS
        for a in args:
            rows += [(a, i, 0), *([(i, a, 0), (n + a, n + i, 0)] if view else [(i, n + a, 0)])]
        if net.kind == "shl":
            rows.append((n + i, n + args[0], 0))
        rows.append((i, n + i, 0))
        cost[n + i] += net.width if net.kind != "shl" else 0
        if net.kind == "shr":
            cost[n + args[0]] -= net.width
        elif net.kind != "shl":
            cost[i] -= net.width
        delay = family.delay(net)
        reach = {i: delay}
        for a in args:
            for (u, w), d in list(far.items()):
                if w == a:
                    reach[u] = max(reach.get(u, 0), d + delay)
        for u, d in reach.items():
            far[u, i] = d
            if d > most + 1e-9:
                rows.append((u, i, 1))
    tail, head, gap = np.array(rows).T
    at = np.arange(len(rows))
    ones = np.ones(len(rows))
    matrix = csr_array((np.concatenate([ones, -ones]), (np.tile(at, 2), np.concatenate([tail, head]))))
    found = linprog(cost, A_ub=matrix, b_ub=-gap, bounds=bounds)
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_linear_programme_agrees(seed, most):
    outputs = random_nets(np.random.default_rng(100 + seed), 40)
    plan = schedule(outputs, (GENERIC, most))
    check(plan, outputs, GENERIC, most)
    assert plan.registers == round(linear_programme(plan, outputs, GENERIC, most), 6)


def layers(rng: np.random.Generator) -> fxsim.Graph:
    a, b = rng.integers(-31, 32, size=(6, 8)), rng.integers(-31, 32, size=(8, 3))
    code = fxsim.UQ(4, 2, overflow="SAT")
    return fxsim.trace(
        lambda x: (((x @ a) * 0.25 + 3).relu().cast(code) @ b, x[0]), fxsim.SQ(5, 3), shape=(6,)
    )


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, None])
def test_layers_with_casts(depth, balance, rng):
    core = rtl.build(layers(rng), max_depth_per_stage=depth, balance=balance)
    outputs = [w.net for w, _ in core.outputs]
    most = core.stage_depth if balance else depth or 1e9
    check(core.plan, outputs, GENERIC, depth or 1e9)
    assert core.plan.registers == round(linear_programme(core.plan, outputs, GENERIC, most), 6)


def test_more_stages_than_a_fast_path_needs_add_registers_but_once(rng):
    """What the outputs read is registered once a stage, whatever reads it."""

    def late(x):
        return x[0], x[0] + x[1], x[2] + x[3] + x[4] + x[5] + x[6], x[0] * 2

    core = rtl.build(fxsim.trace(late, fxsim.SQ(4, 0), shape=(8,)), max_depth_per_stage=1)
    lane = next(n for n in core.plan.nets if n.name == "x_0")
    assert core.plan.until[lane] == core.plan.stages
    assert core.verilog().count("x_0_s1 <=") == 1
