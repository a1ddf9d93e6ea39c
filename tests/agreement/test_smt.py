"""The SMT reading: equal to the emulator at every 3-bit operand, ranges proved, graphs told apart."""

from __future__ import annotations

import sys
from functools import lru_cache

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format, smt
from fxsim.emulate import evaluate
from fxsim.graph import Graph, Value
from fxsim.integers import Array
from tests.agreement.op_cases import CASES, OpCase, combined


def expected(graph: Graph, raw: list[Array]) -> list[Array]:
    env = evaluate(graph, raw)
    n = len(raw[0]) if raw else 1
    return [np.broadcast_to(env[o], (n, *o.type.shape)) for o in graph.outputs]


def disagreement(graph: Graph, raw: list[Array], z: smt.Algebra, elementwise: bool = False) -> object:
    """A point of `raw` where specification and emulator differ, or None: one query for all points."""
    spec = smt.specification(graph, z)
    terms = [x for t in spec.inputs for x in t.ravel()]
    results = [x for t in spec.outputs for x in t.ravel()]
    codes, wanted = (
        np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)
        for arrays in (raw or [np.zeros((1, 0), np.int64)], expected(graph, raw))
    )
    equal = lru_cache(maxsize=None)(lambda i, v: z.equal(terms[i], v))
    differs = lru_cache(maxsize=None)(lambda i, v: z.negate(z.equal(results[i], v)))
    if elementwise:
        points = {
            (i, *p)
            for i in range(len(terms))
            for p in zip(codes[:, i].tolist(), wanted[:, i].tolist(), strict=True)
        }
        wrong = z.either(*(z.both(equal(i, v), differs(i, w)) for i, v, w in sorted(points)))
    else:
        wrong = z.either(
            *(
                z.both(*map(equal, range(len(terms)), c), z.either(*map(differs, range(len(results)), w)))
                for c, w in zip(codes.tolist(), wanted.tolist(), strict=True)
            )
        )
    if isinstance(wrong, bool):
        return wrong or None
    solver = z.z3.Solver()
    solver.add(*spec.assumptions, wrong)
    answer = solver.check()
    assert answer in (z.z3.sat, z.z3.unsat)
    return None if answer == z.z3.unsat else solver.model()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_case_as_bit_vectors(case: OpCase) -> None:
    assert disagreement(case.graph(), case.stimulus(), smt.Bits(), case.lockstep) is None


# Everything but bit ops, which unbounded integers lack; casts by a sample of their modes.
IN_INTEGERS = [
    c for i, c in enumerate(CASES)
    if type(c.op).__name__ not in ("And", "Or", "Xor", "Cast", "Accumulate") or (c.lockstep and i % 7 == 0)
]  # fmt: skip


@pytest.mark.parametrize("case", IN_INTEGERS, ids=lambda c: c.name)
def test_cases_as_unbounded_integers(case: OpCase) -> None:
    assert disagreement(case.graph(), case.stimulus(), smt.Integers(), case.lockstep) is None


def test_every_case_stays_in_its_type() -> None:
    assert smt.prove_range(combined(CASES))


def test_a_range_too_small_is_refuted_with_operands() -> None:
    good = fxsim.trace(lambda x, y: x + y, SQ(4, 0), SQ(4, 0))
    node = good.outputs[0]
    assert isinstance(node, Value)
    narrow = Value(fxsim.TensorType((), 0, np.asarray(-16), np.asarray(13)), node.op, node.args)
    bad = Graph(
        good.inputs, (narrow,), (*good.inputs, narrow), good.output_names, good.encoders, good.output_affines
    )
    proof = smt.prove_range(bad)
    assert not proof
    assert proof.status is smt.Status.REFUTED
    assert proof.where == "%2 = Add leaves its type at element ()"
    assert int(proof.counterexample["0"]) + int(proof.counterexample["1"]) == 14
    assert "refuted" in str(proof)


def test_equal_graphs_are_proved() -> None:
    weights = np.array([[3, -5, 7], [11, 0, -13]])
    a = fxsim.trace(lambda x: x @ weights, SQ(8, 0), shape=(2,))
    b = fxsim.trace(
        lambda x: fxsim.concat(
            [
                (x[0] * 4 - x[0] + x[1] * 8 + x[1] * 3).reshape(1),
                (-(x[0] * 5)).reshape(1),
                (x[0] * 8 - x[0] - x[1] * 13).reshape(1),
            ]
        ),
        SQ(8, 0),
        shape=(2,),
    )
    assert smt.prove_equal(a, b)


def test_casts_that_agree_and_casts_that_do_not() -> None:
    def graph(rounding: str, offset: int = 0) -> Graph:
        to = Format(4, 4, True, fxsim.Rounding[rounding], fxsim.Overflow.SAT)
        return fxsim.trace(lambda x: (x + offset * 2.0**-3).cast(to), SQ(5, 3))

    assert smt.prove_equal(graph("RND"), graph("TRN", 4))
    proof = smt.prove_equal(graph("RND"), graph("RND_CONV"))
    assert proof.status is smt.Status.REFUTED
    x = proof.counterexample["x"]
    assert graph("RND").run_raw(x) != graph("RND_CONV").run_raw(x)
    assert x % 8 == 4


def test_products_are_proved_as_bit_vectors() -> None:
    a = fxsim.trace(lambda x, y: (x + y) * (x - y), SQ(4, 0), SQ(4, 0))
    b = fxsim.trace(lambda x, y: x * x - y * y, SQ(4, 0), SQ(4, 0))
    assert smt.prove_equal(a, b)
    assert smt.prove_range(a)


def test_graphs_that_cannot_be_compared() -> None:
    a = fxsim.trace(lambda x: x + 1, SQ(4, 0))
    with pytest.raises(ValueError, match="inputs of equal types"):
        smt.prove_equal(a, fxsim.trace(lambda x: x + 1, UQ(4, 0)))
    with pytest.raises(ValueError, match="outputs of equal shape and frac"):
        smt.prove_equal(a, fxsim.trace(lambda x: x + 0.5, SQ(4, 0)))


def test_a_time_limit_is_a_result() -> None:
    a = fxsim.trace(lambda x, y, z: (x * y) * z, *[SQ(24, 0)] * 3)
    b = fxsim.trace(lambda x, y, z: x * (y * z), *[SQ(24, 0)] * 3)
    proof = smt.prove_equal(a, b, timeout=0.05)
    assert proof.status is smt.Status.UNKNOWN
    assert not proof


def test_variables_are_confined_to_their_sets() -> None:
    t = fxsim.TensorType((2,), 0, np.array([-8, 3]), np.array([8, 3]), np.array([2, 0]))
    for algebra in (smt.Bits(), smt.Integers()):
        spec = smt.specification(fxsim.trace(lambda x: x + x, t), algebra)
        assert spec.inputs[0][1] == 3
        assert spec.outputs[0][1] == 6
        solver = algebra.z3.Solver()
        solver.add(*spec.assumptions)
        found = set()
        while solver.check() == algebra.z3.sat:
            v = algebra.value(solver.model(), spec.inputs[0][0])
            found.add(v)
            solver.add(algebra.negate(algebra.equal(spec.inputs[0][0], v)))
        assert found == {-8, -4, 0, 4, 8}


def test_without_z3_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)
    with pytest.raises(ModuleNotFoundError, match=r"fxsim-hdl\[smt\]"):
        smt.specification(fxsim.trace(lambda x: x, SQ(4, 0)))
