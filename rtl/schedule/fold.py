"""Products that share their hardware over time: what a matrix product reads, in the terms of a folded engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fxsim.graph import Node, Value
from rtl.schedule.forms import Form
from rtl.schedule.placement import Placement

if TYPE_CHECKING:
    from rtl.schedule.plan import Plan


@dataclass(frozen=True, eq=False)
class Fold:
    """x"""

    source: Node
    form: Form


def foldable(plan: Plan, v: Value, pe: int) -> Placement | str:
    """The placement of a product on `pe` processing elements, or why it is none ("" where v is no product)."""
    return ""


def engine_of(*a):
    raise NotImplementedError
