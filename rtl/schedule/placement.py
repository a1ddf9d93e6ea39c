"""What a schedule decides on one value: the form it has, and the forms in which it wants its operands."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rtl.schedule.forms import Form

Kind = Literal["input", "pointwise", "window", "reduce", "fold"]
"""input      a tensor of the graph's input stream
pointwise  done on one beat at a time
window     neighbours of the streamed axes, from line buffers
reduce     beats are folded into one
fold       a matrix product, its products shared over time"""


@dataclass(frozen=True)
class Need:
    """An operand's form, each of its beats offered `repeat` times."""

    form: Form
    repeat: int = 1


@dataclass(frozen=True, eq=False)
class Placement:
    """kind, the form of the result, a Need per operand (None for a constant), and what the kind has
    beside it."""

    kind: Kind
    form: Form
    needs: tuple[Need | None, ...] = ()
    detail: Any = None


def before(form: Form, bad: Collection[int]) -> Form:
    """The form along the axes in front of the first one of `bad`; the others are whole in a beat."""
    for k, axis in enumerate(form.axes):
        if axis in bad:
            return Form(form.shape, form.axes[:k])
    return form


def shifted(form: Form, shape: tuple[int, ...], axes: Iterable[int]) -> Form:
    """The same stream, of a result of `shape` whose streamed axes are `axes`."""
    return Form(shape, tuple(axes), form.lanes if form.axes else 1)


def pointwise(shape: tuple[int, ...], axes: Iterable[int], need: Form) -> Placement:
    """A pointwise op of one operand that wants it as `need`."""
    return Placement("pointwise", shifted(need, shape, axes), (Need(need),))
