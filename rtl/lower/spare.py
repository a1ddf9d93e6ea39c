"""Constants where a column has time to spare, instead of behind its last adder.

A code n of the value v = n - offset takes an adder more to become that value. Of the operands of the adders
before, one is often ready earlier than the other: there the constant costs as much, and no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rtl.lower.codes import CHAIN, Code, Sum, combine
from rtl.lower.net import Net, trailing_zeros

DEEPEST = 6  # sums between the constant and the value
INVERTED = 0.25  # cost of a bit of a value that is the inverted code, in LUTs: most often a LUT takes it in
WORTH = 8.0  # LUTs that one adder less in series may cost

Coded = Callable[[Net], tuple[Code, Net]]
"""The code of an operand of a sum, and its net."""


@dataclass(frozen=True, slots=True)
class Step:
    """A sum on the way from the constant to the value.

    operand  which of its operands is on the way
    other    the other one, None if there is none; in this sum's scale and with its sign there
    made     the other one's net
    bits     the low bits that are needed of the sum
    """

    net: Net
    operand: int
    other: Code | None
    made: Net | None
    bits: int

    @property
    def adds(self) -> bool:
        return self.other is not None and not self.other.is_constant

    def level(self, before: float) -> float:
        return max(before, self.made.level) + 1 if self.adds and self.made is not None else before


@dataclass(frozen=True, slots=True)
class Spare:
    """How a constant joins the column of a value.

    made      the net that it is added to, times 2**shift
    constant  0 where the constants within the column's adders will do
    width     of the sum of both
    steps     from there up, and their adders
    result    the code of the value: the value itself, or inverted if its sign is -1
    cost      of the constant's adder and of those of the steps
    """

    made: Net
    shift: int
    constant: int
    width: int
    steps: Sequence[Step]
    plans: Sequence[Sum]
    result: Code
    cost: float


def shifts_and_signs(net: Net) -> list[tuple[int, int]]:
    """Per operand of a sum."""
    signs = (-1,) if net.kind == "neg" else (1, 1) if net.kind == "add" else (1, -1)
    return list(zip(net.params or (0,), signs, strict=True))


def find(net: Net, coded: Coded, private: Callable[[Net], bool]) -> Spare | None:
    """The cheapest way for a constant to join the sum `net` in no more adders in series than its code takes.

    private  whether a net is a code that is read once
    """
    level = coded(net)[1].level
    found = [
        place
        for steps, leaf in _places(net, net.width, coded, private, ())
        if (place := _joined(steps, *coded(leaf), level)) is not None
    ]
    return min(found, key=lambda place: place.cost, default=None)


def cost_so_far(place: Spare, coded: Coded) -> float:
    """Of the adders of the same steps without the constant."""
    leaf = place.steps[0].net.args[place.steps[0].operand]
    return sum(plan.cost for plan in _climb(place.steps, coded(leaf)[0], 0, modular=False)[0])


def _places(
    net: Net, bits: int, coded: Coded, private: Callable[[Net], bool], above: tuple[Step, ...]
) -> Iterator[tuple[tuple[Step, ...], Net]]:
    """(steps, operand) of every operand below `net` that a constant may be added to."""
    parts = shifts_and_signs(net)
    for k, (a, (shift, _)) in enumerate(zip(net.args, parts, strict=True)):
        if a.is_constant or coded(a)[0].is_constant or bits <= shift:
            continue
        other = made = None
        if len(net.args) == 2:
            b, (across, sign) = net.args[1 - k], parts[1 - k]
            code, made = (Code(b.lo, b.lo), b) if b.is_constant else coded(b)
            other = code.shifted(across, sign)
        steps = (Step(net, k, other, made, bits), *above)
        if any(step.adds for step in steps):
            yield steps, a
        if len(steps) < DEEPEST and private(a):
            yield from _places(a, bits - shift, coded, private, steps)


def _climb(
    steps: Sequence[Step], code: Code, more: int, carries: int = 0, modular: bool = True
) -> tuple[list[Sum], Code]:
    """The adders of the steps, and the code of the last.

    more     to be added to the way's operand by the first adder, at its scale
    carries  bit k: whether the k-th adder has a carry
    """
    plans: list[Sum] = []
    for step in steps:
        shift, sign = shifts_and_signs(step.net)[step.operand]
        code = code.shifted(shift, sign)
        if step.other is None:
            continue
        if step.other.is_constant:
            code = code.plus(step.other.value)
            continue
        pair = [(code, more), (step.other, 0)]
        (a, add_a), (b, add_b) = pair[:: -1 if step.operand else 1]
        plan = combine(
            a, b, step.net.lo, step.net.hi, step.bits if modular or step.net.modular else None,
            step is steps[-1], (add_a, add_b), carries >> len(plans) & 1,
        )  # fmt: skip
        plans.append(plan)
        code, more = plan.code, 0
    return plans, code


def _joined(steps: Sequence[Step], leaf: Code, made: Net, level: float) -> Spare | None:
    """The constant that must be added to this operand; None if no constant will do, or it takes too long."""
    ready, later = made.level, made.level + 1
    for step in steps:
        ready, later = step.level(ready), step.level(later)
    if ready > level:
        return None
    first = next(k for k, step in enumerate(steps) if step.adds)
    # A constant with bits below those of the operand: only where none of the bits above will do.
    for shift in range(leaf.zeros + _shift(steps[: first + 1]) + 1):
        below = Code(leaf.lo << shift, leaf.hi << shift, leaf.zeros - shift, leaf.sign, leaf.offset)
        found = _with_constant(steps, first, below)
        if found is not None:
            constant, width, plans, result, cost = found
            late = constant and later > level
            return None if late else Spare(made, shift, constant, width, steps, plans, result, cost)
    return None


def _shift(steps: Sequence[Step]) -> int:
    return sum(shifts_and_signs(step.net)[step.operand][0] for step in steps)


def _with_constant(
    steps: Sequence[Step], first: int, leaf: Code
) -> tuple[int, int, list[Sum], Code, float] | None:
    """(constant, width of its sum with the operand, the steps' adders, code of the value, cost).

    first  the step of the first adder
    """
    bits, span = steps[-1].bits, leaf.hi - leaf.lo
    unit, near, other = leaf.zeros + _shift(steps), _shift(steps[: first + 1]), steps[first].other
    assert other is not None
    room = bits - unit
    for width in range(max(span.bit_length(), 1), room + 1):
        wide = Code(0, (1 << width) - 1, leaf.zeros, leaf.sign, leaf.offset)
        missing, carries = _missing(steps, wide, unit, bits)
        if carries < 0:
            return None
        whole = missing >> unit
        least = leaf.lo + whole & (1 << width) - 1
        constant = least - leaf.lo
        if least + span >> width and width < room:
            continue
        # What is left are bits above the lower operand of the first adder, and of its chain.
        more = (whole - constant & (1 << room) - 1) << leaf.zeros + near
        own = wide.shifted(near)
        if trailing_zeros(more) < max(min(own.top, other.top), other.zeros):
            continue
        plans, result = _climb(steps, wide, more, carries)
        cost = sum(plan.cost for plan in plans) + INVERTED * (bits - result.zeros) * (result.sign < 0)
        if constant:
            cost += constant.bit_count() + CHAIN * (width - trailing_zeros(constant))
        return constant, width, plans, result, cost
    return None


def _missing(steps: Sequence[Step], leaf: Code, unit: int, bits: int) -> tuple[int, int]:
    """What `leaf` lacks, at the scale of the value and modulo 2**bits: a multiple of 2**unit; and carries.

    The fewest carries that make it one; -1 if none do.
    """
    adders = sum(step.adds for step in steps)
    for carries in sorted(range(1 << adders), key=int.bit_count):
        _, result = _climb(steps, leaf, 0, carries)
        # v = n - offset is n for the offset 0, v = offset - n is ~n for the offset -1.
        missing = (0 if result.sign > 0 else -(1 << result.zeros)) - result.offset
        if trailing_zeros(missing) >= unit:
            moved = _climb(steps, replace(leaf, offset=leaf.offset + 1), 0, carries)[1].offset
            return (missing if moved > result.offset else -missing) & (1 << bits) - 1, carries
    return 0, -1
