"""Enclosures: an order-preserving map iterated twice, rounded down and rounded up, with x* in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fxsim.formats import Format, Overflow
from fxsim.iterate.unit import Unit, unit
from fxsim.iterate.updates import assign, each


def enclosure(
    step: Callable[..., Any],
    state: Mapping[str, tuple[Format, Any]],
    parameters: Mapping[str, Any] | None = None,
    *,
    start: tuple[Any, Any] | None = None,
    **options: Any,
) -> Unit:
    """The unit with states lo <= x* <= hi: lo <- floor(T(lo)) from below, hi <- ceil(T(hi)) from above.

    T is order-preserving (x <= y gives T(x) <= T(y)), so that lo only rises and hi only falls, each until it
    is a grid fixed point (T5), and what lies between holds the fixed point x* of T, clipped to the state's
    format. With L < 1 in the max-norm, hi - lo < 2 u / (1 - L). The unit's certificate checks the order from
    the map's slopes, and refuses to run a map that falls anywhere.

    step, state, parameters, options   as of `unit`; several states are called NAME_lo and NAME_hi
    start   raw (lo, hi), each as of `unit`, lo <= T(lo) and hi >= T(hi); None: the ends of the formats

    Raises ValueError for options that an enclosure has of its own, and for a schedule of groups.
    """
    own = sorted({"update", "residual"} & set(options))
    if own:
        raise ValueError(f"options of an enclosure must be without {own[0]}, which is its own")
    if not isinstance(state, Mapping) or not state:
        raise TypeError(f"state must map at least one name to (Format, shape), not {state!r}")
    n = len(state)
    names = list(state)
    lower = ["lo"] if n == 1 else [f"{k}_lo" for k in names]
    upper = ["hi"] if n == 1 else [f"{k}_hi" for k in names]

    def both(*args: Any) -> tuple[Any, ...]:
        held = args[2 * n :]
        found = [step(*args[:n], *held), step(*args[n : 2 * n], *held)]
        return tuple(t for f in found for t in (f if isinstance(f, (tuple, list)) else (f,)))

    kinds = list(state.values())
    begin: dict[str, Any] = {}
    for side, labels in enumerate((lower, upper)):
        for name, label, (fmt, _) in zip(names, labels, kinds, strict=True):
            given = None if start is None else start[side]
            value = given.get(name) if isinstance(given, Mapping) else given
            begin[label] = _ends(fmt)[side] if value is None else np.asarray(value)
    return unit(
        both, dict(zip([*lower, *upper], [*kinds, *kinds], strict=True)), parameters,
        update=each(*[assign("TRN")] * n, *[assign("CEIL")] * n), start=begin,
        **{"name": getattr(step, "__name__", "unit"), **options},
    )  # fmt: skip


def _ends(fmt: Format) -> tuple[int, int]:
    """The least and greatest code that a saturated state takes."""
    return fmt.lo + int(fmt.overflow is Overflow.SAT_SYM and fmt.signed), fmt.hi
