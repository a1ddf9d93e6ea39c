"""Proofs about graphs by z3: every value stays in its type, two graphs are the same function."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from fxsim import ops
from fxsim.graph import Graph, Node, Op, Value
from fxsim.integers import Array, exact
from fxsim.smt.algebra import Algebra, Bits, Integers, Term, Truth
from fxsim.smt.rules import array, smt_rules
from fxsim.types import TensorType

# What z3's integers cannot say, or only by nonlinear reasoning; anything else may use either algebra.
_NEEDS_BITS: tuple[type[Op], ...] = (ops.And, ops.Or, ops.Xor, ops.Div)


class Status(StrEnum):
    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "not decided within the time limit"


@dataclass(frozen=True)
class Proof:
    """The outcome, true if proved; `counterexample` maps input names to raw codes, `where` is what fails."""

    status: Status
    where: str = ""
    counterexample: dict[str, Array] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        return self.status is Status.PROVED

    def __str__(self) -> str:
        text = self.status.value + (f": {self.where}" if self.where else "")
        return text + "".join(f"\n  {k} = {v.tolist()}" for k, v in self.counterexample.items())


class Specification(NamedTuple):
    """Symbolic arrays of the inputs and outputs, and what confines the inputs to their types."""

    inputs: list[Array]
    outputs: list[Array]
    assumptions: list[Truth]


def specification(graph: Graph, algebra: Algebra | None = None) -> Specification:
    """The graph as z3 terms: outputs hold Words (algebra Bits, the default) or z3 integers (Integers).

    Elements that are constant are Python ints. Input element i of input x is the z3 variable "x[i]".
    """
    z = algebra or Bits()
    inputs, assumptions = [], []
    for node in graph.inputs:
        terms, limits = variables(z, node.name, node.type)
        inputs.append(terms)
        assumptions += limits
    return Specification(inputs, _outputs(z, graph, inputs), assumptions)


def _outputs(z: Algebra, graph: Graph, inputs: list[Array]) -> list[Array]:
    def narrowed(node: Node, result: Array) -> Array:
        # Sound because every rule stays in its type, which prove_range proves op by op.
        return _narrow(z, result, node.type)

    return smt_rules(graph, inputs, z, bind=narrowed)


def _narrow(z: Algebra, a: Array, t: TensorType) -> Array:
    ends = zip(a.ravel(), t.lo.ravel(), t.hi.ravel(), strict=True)
    return array([int(lo) if lo == hi else z.narrow(x, int(lo), int(hi)) for x, lo, hi in ends], t.shape)


def variables(z: Algebra, name: str, t: TensorType) -> tuple[Array, list[Truth]]:
    """Fresh terms of a tensor's type, and the assumptions that confine them."""
    terms: list[Term] = []
    assumptions: list[Truth] = []
    for i in np.ndindex(t.shape):
        lo, hi = int(t.lo[i]), int(t.hi[i])
        if lo == hi:
            terms.append(lo)
            continue
        term, limits = z.variable(f"{name}[{','.join(map(str, i))}]", lo, hi, int(t.stride[i]))
        terms.append(term)
        assumptions += limits
    return array(terms, t.shape), assumptions


def algebras(values: tuple[Node, ...]) -> list[Algebra]:
    """Which algebras can say these values, the quicker first: integers for linear values, else bits."""
    nodes = [v for v in values if isinstance(v, Value)]
    if any(isinstance(v.op, _NEEDS_BITS) or _is_product(v) for v in nodes):
        return [Bits()]
    linear = (ops.Const, ops.Add, ops.Sub, ops.Neg, ops.Shift, ops.Scale, ops.Mul, ops.MatMul, ops.Sum)
    if all(isinstance(v.op, (*linear, ops.Concat)) or hasattr(v.op, "place") for v in nodes):
        return [Integers(), Bits()]
    return [Bits(), Integers()]


def _is_product(v: Value) -> bool:
    """Two varying factors: nonlinear in integers."""
    return isinstance(v.op, (ops.Mul, ops.MatMul, ops.ShiftLeft)) and not any(
        a.type.is_constant.all() for a in v.args
    )


def prove_range(graph: Graph, timeout: float = 60.0) -> Proof:
    """Does every element of every value stay in its type? Proved op by op, for all operands in their types.

    By induction the outputs do too. A counterexample gives the op's operands, named "0", "1", ...
    `timeout` is in seconds per value.
    """
    for i, v in enumerate(graph.values):
        if not isinstance(v, Value):
            continue
        proof = Proof(Status.UNKNOWN)
        for z in algebras((v,)):
            operands, assumptions = [], []
            for k, a in enumerate(v.args):
                terms, limits = variables(z, str(k), a.type)
                operands.append(terms)
                assumptions += limits
            result = smt_rules.lookup(type(v.op))(z, v, *operands)
            bad = [
                (k, z.outside(x, int(v.type.lo[k]), int(v.type.hi[k]), int(v.type.stride[k])))
                for k, x in np.ndenumerate(result)
            ]
            named = {str(k): terms for k, terms in enumerate(operands)}
            label = f"%{i} = {type(v.op).__name__}"
            proof = _decide(z, assumptions, bad, named, f"{label} leaves its type at element", timeout)
            if proof.status is not Status.UNKNOWN:
                break
        if not proof:
            return proof
    return Proof(Status.PROVED)


def prove_equal(a: Graph, b: Graph, timeout: float = 60.0) -> Proof:
    """Do both graphs give equal raw outputs for all inputs?

    Inputs are matched by position. `timeout` is in seconds, for each of at most two ways to put the question
    to z3. ValueError where inputs differ in type, or outputs in shape or frac.
    """
    if [i.type for i in a.inputs] != [i.type for i in b.inputs]:
        raise ValueError(
            f"the graphs must have inputs of equal types, not {[str(i.type) for i in a.inputs]} "
            f"and {[str(i.type) for i in b.inputs]}"
        )
    kinds = [[(o.type.shape, o.type.frac) for o in g.outputs] for g in (a, b)]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"the graphs must have outputs of equal shape and frac, not {kinds[0]} and {kinds[1]}"
        )
    proof = Proof(Status.UNKNOWN)
    for z in algebras(a.values + b.values):
        spec = specification(a, z)
        others = _outputs(z, b, spec.inputs)
        bad = [
            ((name, *k), z.negate(z.equal(x, y[k])))
            for name, s, y in zip(a.output_names, spec.outputs, others, strict=True)
            for k, x in np.ndenumerate(s)
        ]
        named = {i.name: terms for i, terms in zip(a.inputs, spec.inputs, strict=True)}
        proof = _decide(z, spec.assumptions, bad, named, "the graphs differ at", timeout)
        if proof.status is not Status.UNKNOWN:
            return proof
    return proof


def _decide(
    z: Algebra, assumptions: list[Truth], bad: list[Any], named: dict[str, Array], label: str, timeout: float
) -> Proof:
    """Can any of the labelled conditions hold under the assumptions?"""
    possible = [(k, t) for k, t in bad if t is not False]
    if not possible:
        return Proof(Status.PROVED)
    solver = z.z3.Solver()
    solver.set("timeout", max(1, int(timeout * 1000)))
    solver.add(*[t for t in assumptions if t is not True])
    any_bad = z.either(*(t for _, t in possible))
    if any_bad is not True:
        solver.add(any_bad)
    answer = solver.check()
    if answer == z.z3.unsat:
        return Proof(Status.PROVED)
    if answer != z.z3.sat:
        return Proof(Status.UNKNOWN, f"z3 says {solver.reason_unknown()}")
    model = solver.model()
    where = next(k for k, t in possible if t is True or z.z3.is_true(model.eval(t, model_completion=True)))
    example = {
        name: exact(array([z.value(model, x) for x in terms.ravel()], terms.shape))
        for name, terms in named.items()
    }
    return Proof(Status.REFUTED, f"{label} {where}", example)
