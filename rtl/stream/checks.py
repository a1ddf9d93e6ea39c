"""Checks of the parameters that the small parts of a stream network share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rtl.lower.names import KEYWORDS

Order = tuple[int, ...] | None
"""A selection of elements by number, or None for all of them as they come."""


def integer(part: Any, field: str, value: Any) -> None:
    """TypeError, naming part and field, unless `value` is an integer."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{field} of {part.name} must be an integer, not {value!r}")


def counts(part: Any, *fields: str, least: int = 1) -> None:
    """TypeError or ValueError unless `fields` are integers >= least, and the name is one for an instance."""
    name = part.name
    if not isinstance(name, str) or not name.isascii() or not name.isidentifier() or name in KEYWORDS:
        raise ValueError(f"name of a part must be an identifier and no keyword of Verilog, not {name!r}")
    for field in fields:
        value = getattr(part, field)
        integer(part, field, value)
        if value < least:
            raise ValueError(f"{field} of {part.name} must be at least {least}, not {value!r}")
        object.__setattr__(part, field, int(value))  # wide constants are made by shifts of Python's integers


def tupled(part: Any, field: str) -> tuple[int, ...]:
    """The field as a tuple of Python's integers, also where arrays came; TypeError for anything else."""
    value = getattr(part, field)
    if not isinstance(value, Iterable):
        raise TypeError(f"{field} of {part.name} must be integers, not {value!r}")
    items = tuple(value)
    for item in items:
        integer(part, field, item)
    object.__setattr__(part, field, tuple(int(item) for item in items))
    return getattr(part, field)


def ordered(part: Any, bits: int, count: int, elements: int, order: Order) -> None:
    """ValueError unless `elements` divide the beat and `order` names different ones of the
    count * elements elements."""
    if bits % elements:
        raise ValueError(f"elements of {part.name} must divide its {bits} bits, not {elements}")
    if order is None:
        return
    order = tupled(part, "order")
    most = count * elements
    if not order or len(set(order)) != len(order) or not all(0 <= k < most for k in order):
        raise ValueError(f"order of {part.name} must be different numbers below {most}, not {order}")
