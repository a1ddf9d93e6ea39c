"""The fold: tables of rules, block rules that replace an inside, and what a missing rule says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxsim import SQ, Graph, Interpreter, TensorType, ops
from fxsim.boundary import FormatEncoder
from fxsim.graph import Block, Node, Op, Value
from fxsim.trace import Builder


def table() -> Interpreter[Any]:
    """Evaluation on plain numbers, for graphs of additions and products with constants."""
    t: Interpreter[Any] = Interpreter("plain_rules")
    t.rule(ops.Const)(lambda c, v: int(v.op.raw.array))
    t.rule(ops.Add)(lambda c, v, a, b: a + b)
    t.rule(ops.Mul)(lambda c, v, a, b: a * b)
    return t


def nested() -> Graph:
    """outer holds inner, and both begin at the same value."""
    b = Builder()
    x = b.input("x", TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0)))
    with b.block("outer", "o", [x]) as outer:
        with b.block("inner", "i", [x]) as inner:
            inner.append(x * 3)
        outer.append(inner[0] + 1)
    return b.finish([outer[0] + outer[0]])


def test_the_fold_applies_rules_in_order() -> None:
    assert table()(nested(), [5]) == [32]
    env = table().fold(nested(), [5])
    assert list(env.values()) == [5, 3, 15, 1, 16, 32]


def test_a_block_rule_replaces_the_inside() -> None:
    t = table()
    seen: list[Block] = []

    @t.rule("outer")
    def outer(context: Any, block: Block, a: int) -> list[int]:
        seen.append(block)
        return [a + 100]

    @t.rule("inner")
    def inner(context: Any, block: Block, a: int) -> list[int]:
        raise AssertionError("the outer rule takes it all")

    g = nested()
    assert t(g, [5]) == [210]
    assert seen == [g.blocks[0]]
    assert len(t.fold(g, [5])) == 3


def test_a_rule_may_decline_and_the_inner_block_is_asked() -> None:
    t = table()
    t.rule("outer")(lambda c, b, a: NotImplemented)
    t.rule("inner")(lambda c, b, a: [a * 1000])
    assert t(nested(), [5]) == [10002]
    u = table()
    u.rule("outer", "inner")(lambda c, b, a: NotImplemented)
    assert u(nested(), [5]) == [32]


def test_a_rule_gives_one_result_per_output() -> None:
    t = table()
    t.rule("outer")(lambda c, b, a: [a, a])
    with pytest.raises(ValueError, match="zip"):
        t(nested(), [5])


def test_context_and_bind_reach_every_result() -> None:
    t = table()
    t.rules.pop(ops.Add)
    t.rule(ops.Add)(lambda context, v, a, b: context.append(v) or a + b)
    t.rule("inner")(lambda c, b, a: [a * 3])
    context: list[Node] = []
    named: list[Node] = []

    def bind(node: Node, result: int) -> int:
        named.append(node)
        return result + 1

    g = nested()
    # 5 + 1 = 6, times 3 and 1 more is 19, the constant 1 + 1 = 2 makes 21 + 1 = 22, doubled and 1 more is 45.
    assert t(g, [5], context, bind=bind) == [45]
    assert len(context) == 2
    assert named == [g.inputs[0], g.blocks[1].outputs[0], *g.values[3:]]


def test_a_missing_rule_is_named() -> None:
    t = table()
    t.rules.pop(ops.Mul)
    assert t.missing([ops.Add, ops.Mul, ops.Const]) == ["Mul"]
    assert "Cast" in t.missing()
    assert "Wiring" not in t.missing()
    with pytest.raises(
        NotImplementedError,
        match=r"plain_rules reading has no rule for Mul; write one with @plain_rules.rule\(Mul\)",
    ):
        t(nested(), [5])


def test_rules_are_not_replaced() -> None:
    t = table()
    with pytest.raises(ValueError, match="plain_rules already has a rule for Add"):
        t.rule(ops.Add)(lambda *a: None)
    t.rule("outer")(lambda *a: None)
    with pytest.raises(ValueError, match="plain_rules already has a rule for outer"):
        t.rule("outer")(lambda *a: None)


def test_inputs_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="inputs must be 1, not 2"):
        table()(nested(), [1, 2])


def test_an_op_name_exists_once() -> None:
    with pytest.raises(TypeError, match=r"an op named Add exists already in fxsim\.ops\.arithmetic"):
        type("Add", (Op,), {})
    assert Op.registry["Add"] is ops.Add
    with pytest.raises(NotImplementedError, match="Op has no typing rule"):
        Op().infer()


def test_a_users_op_joins_every_part_of_the_graph() -> None:
    from dataclasses import dataclass

    from fxsim.emulate import numpy_rules

    @dataclass(frozen=True)
    class Double(Op):
        def infer(self, *args: TensorType) -> TensorType:
            (a,) = args
            return TensorType(a.shape, a.frac, 2 * a.lo, 2 * a.hi, a.stride + 1)

    try:
        numpy_rules.rule(Double)(lambda c, v, a: 2 * a)
        b = Builder()
        x = b.input("x", TensorType.of(SQ(4, 0)), FormatEncoder(SQ(4, 0)))
        g = b.finish([b.apply(Double(), x) + 1])
        assert g.run_raw(np.arange(-8, 8)).tolist() == list(range(-15, 17, 2))
        assert isinstance(g.values[1], Value)
        assert "Double() %0" in str(g)
    finally:
        numpy_rules.rules.pop(Double, None)
        del Op.registry["Double"]
