"""The cost reading: its formulas at the points they were fitted to, and its sums."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ, Format, Overflow, Rounding, ops
from fxsim.cost import Cost, cost, cost_rules, signed_digits
from fxsim.trace import Builder
from tests.agreement.op_cases import CASES, OpCase


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_every_case_has_a_cost(case: OpCase) -> None:
    total = cost(case.graph()).total
    assert total.luts >= 0
    assert total.adders >= 0
    assert total.depth >= 0
    if total.adders:
        assert total.depth >= 1
        assert total.luts >= total.adders


def test_signed_digits_are_the_fewest() -> None:
    fewest = {0: 0}
    reached = {0}
    for count in range(1, 5):
        reached = {r + s * (1 << k) for r in reached for k in range(9) for s in (-1, 1)}
        for r in reached:
            fewest.setdefault(r, count)
    codes = np.arange(-128, 129)
    assert signed_digits(codes).tolist() == [fewest[int(c)] for c in codes]


def test_products_near_the_synthesized_figures() -> None:
    """7-series synthesis: 8 x 8 bits 134 LUT, 16 x 16 bits 614, 119 times 8 bits 19."""
    x, y = SQ(8, 0), SQ(16, 0)
    assert cost(fxsim.trace(lambda a, b: a * b, x, x)).total == Cost(144, 7, 3.0)
    assert cost(fxsim.trace(lambda a, b: a * b, y, y)).total == Cost(576, 15, 4.0)
    assert cost(fxsim.trace(lambda a: a * 119, x)).total == Cost(18, 2, 2.0)


def test_requantization_near_the_synthesized_figure() -> None:
    """32 bits, 8 rounded off, saturated to 8: 19 LUT in 7-series synthesis."""
    to = Format(8, 8, True, Rounding.RND, Overflow.SAT)
    assert cost(fxsim.trace(lambda a: a.cast(to), SQ(24, 8))).total == Cost(20, 1, 1.5)


def test_wiring_and_constants_are_free() -> None:
    g = fxsim.trace(lambda x: (x << 3).reshape(4)[::-1].take([0, 2]) * 4, SQ(8, 0), shape=(2, 2))
    assert cost(g).total == Cost(0, 0, 0.0)
    assert cost(fxsim.trace(lambda x: x * 0 + 5, SQ(8, 0))).total == Cost(0, 0, 0.0)


def test_an_adder_is_as_wide_as_its_operands_overlap() -> None:
    assert cost(fxsim.trace(lambda x, y: x + y, UQ(8, 0), UQ(8, 0))).total == Cost(9, 1, 1.0)
    assert cost(fxsim.trace(lambda x, y: x + y * 16, UQ(8, 0), UQ(8, 0))).total == Cost(9, 1, 1.0)
    assert cost(fxsim.trace(lambda x, y: x * 16 - y, UQ(8, 0), UQ(8, 0))).total == Cost(13, 1, 1.0)
    assert cost(fxsim.trace(lambda x: x + 0, UQ(8, 0))).total == Cost(0, 0, 0.0)


def test_depth_follows_the_deepest_path_and_sums_are_trees() -> None:
    g = fxsim.trace(lambda x: x.sum() + x[0], UQ(8, 0), shape=(9,))
    total = cost(g).total
    assert total.depth == 5.0
    assert total.adders == 9


def test_blocks_and_the_rest_add_up_and_print() -> None:
    b = Builder("net")
    x = b.input("x", fxsim.TensorType.of(UQ(4, 0), (2,)), fxsim.boundary.FormatEncoder(UQ(4, 0)))
    with b.block("dense", "layer", [x]) as outs:
        y = x @ np.array([[1, 3], [5, -2]])
        outs.append(y)
    g = b.finish([y + y])
    summary = cost(g)
    assert [(r.kind, r.name) for r in summary.blocks] == [("dense", "layer"), ("", "")]
    assert sum(r.cost.luts for r in summary.blocks) == summary.total.luts
    assert sum(r.cost.adders for r in summary.blocks) == summary.total.adders == 6
    lines = str(summary).splitlines()
    assert lines[0].split() == ["block", "LUT", "adders", "depth"]
    assert lines[1].startswith("dense layer")
    assert lines[2].startswith("(outside)")
    assert len({len(line) for line in lines}) == 1
    assert str(summary.total).endswith(f"{summary.total.adders} adders, depth 3")


def test_the_table_names_a_missing_rule() -> None:
    with pytest.raises(ValueError, match="already has a rule for Add"):
        cost_rules.rule(ops.Add)(lambda *_: Cost())
