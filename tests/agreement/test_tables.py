"""Every op has a rule in every table: a reading cannot fall behind the op set."""

from __future__ import annotations

import pytest

from fxsim import ops
from fxsim.cost import cost_rules
from fxsim.emulate import numpy_rules
from fxsim.graph import Interpreter, Op
from fxsim.iterate.single import single_rules
from fxsim.smt import smt_rules
from hls.lower import cpp_rules
from rtl.lower import amaranth_rules
from tests.agreement.op_cases import CASES

TABLES = (numpy_rules, amaranth_rules, cpp_rules, smt_rules, cost_rules, single_rules)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
@pytest.mark.parametrize("op", ops.ALL, ids=lambda op: op.__name__)
def test_every_op_has_a_rule(table: Interpreter, op: type[Op]) -> None:
    assert callable(table.lookup(op))


def test_all_lists_every_op() -> None:
    """Wiring is a base class without a meaning of its own."""
    own = {op for op in Op.registry.values() if op.__module__.startswith("fxsim.")}
    assert own - {ops.wiring.Wiring} == set(ops.ALL)
    assert {op.__name__ for op in ops.ALL} <= set(ops.__all__)


def test_every_op_has_a_case() -> None:
    assert {type(c.op) for c in CASES} == set(ops.ALL)
    assert len({c.name for c in CASES}) == len(CASES)


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.name)
def test_the_table_is_named_as_users_see_it(table: Interpreter) -> None:
    class Unknown(Op):
        pass

    try:
        with pytest.raises(NotImplementedError, match=f"{table.name}.*has no rule for Unknown"):
            table.lookup(Unknown)
    finally:
        del Op.registry["Unknown"]
