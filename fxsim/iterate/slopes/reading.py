"""The slope reading of a graph: exact interval Jacobians of the real map behind it, and its evaluation error.

Two maps belong to a graph. The *computed* one is what the emulator and the hardware do. The *ideal* one is
real: casts that fit are left out, casts that saturate are clips onto the format's ends, function units and
softmax are the functions that they approximate (clipped to their format), and a table without such a
reference is the polygon through its entries, constant beyond them. Values that do not depend on the state are
taken as computed: they are the coefficients of the map. For every value the reading gives

    lo, hi   with lo <= dy_j/dx_i <= hi for all states in the box of the state's types; for maps with corners
             the generalised derivative, so that every difference y(x) - y(x') is M (x - x'), lo <= M <= hi
    error    >= |computed - ideal| at every state code
    gain     >= sum_i |dy_j/dx_i| w_i: how much a state error of at most w_i in component i becomes in the
             maximum norm; at most the sum of the intervals, and less where intervals forget how elements
             depend on each other (softmax: a row of its Jacobian sums to 1/2 at most)

all of them exact dyadic numbers in value units, rounded outward where a bound is irrational.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.graph import Graph, Interpreter, Node, Op, Value
from fxsim.integers import Array, exact, shift_left
from fxsim.iterate.slopes.scaled import Scaled, exceeds, greater, lesser, where
from fxsim.ops.wiring import Wiring
from fxsim.types import TensorType


@dataclass(frozen=True, eq=False)
class Slopes:
    """What the reading knows of one value of shape s, for n state elements.

    lo, hi  shape (n, *s): the state element comes first
    error   shape s
    gain    shape s
    two     a bound of the Lipschitz constant in the 2-norm of state and value, or None: that of |lo|, |hi|
    jumps   why the value is no continuous function of the state ("" if it is)
    still   the value does not depend on the state
    rising  the computed value, roundings and tables included, is proven to fall nowhere as the state grows
    """

    lo: Scaled
    hi: Scaled
    error: Scaled
    gain: Scaled
    two: Callable[[], Fraction] | None = None
    jumps: str = ""
    still: bool = False
    rising: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.error.shape

    def placed(self, fn: Callable[[Array, int], Array]) -> Slopes:
        """fn(array, number of leading axes) of all four arrays, without the 2-norm."""
        return Slopes(
            self.lo.each(lambda a: fn(a, 1)),
            self.hi.each(lambda a: fn(a, 1)),
            self.error.each(lambda a: fn(a, 0)),
            self.gain.each(lambda a: fn(a, 0)),
        )

    @property
    def linear(self) -> bool:
        """Whether the Jacobian is one matrix."""
        return not bool(np.any(exceeds(self.hi, self.lo)))

    @property
    def magnitude(self) -> Scaled:
        """max(|lo|, |hi|)."""
        return greater(abs(self.lo), abs(self.hi))

    def two_norm(self) -> Fraction:
        """An upper bound of the 2-norm of every Jacobian, from the state to this value."""
        from fxsim.iterate.norms import two_norm

        if self.linear:
            return two_norm(self.lo.raw.reshape(self.lo.shape[0], -1), self.lo.scale)
        if self.two is not None:
            return self.two()
        m = self.magnitude
        return two_norm(m.raw.reshape(m.shape[0], -1), m.scale)


@dataclass(frozen=True, eq=False)
class Context:
    """The number of state elements and the positive integer weight of each."""

    n: int
    weights: Array
    needed: frozenset[Node] | None = None  # the values that are asked for and what they read; None: all

    def wants(self, node: Node) -> bool:
        """Is it asked for, or read by what is?"""
        return self.needed is None or node in self.needed

    def still(self, shape: tuple[int, ...]) -> Slopes:
        """The slopes of what the state does not reach."""
        zero, flat = Scaled.zeros((self.n, *shape)), Scaled.zeros(shape)
        return Slopes(zero, zero, flat, flat, still=True, rising=True)

    def make(
        self, lo: Scaled, hi: Scaled, error: Scaled, gain: Scaled | None = None,
        two: Callable[[], Fraction] | None = None,
    ) -> Slopes:  # fmt: skip
        """Slopes whose gain is at most the sum over the intervals."""
        shape = lo.shape[1:]
        top = greater(abs(lo), abs(hi)) if lo is not hi else abs(lo)
        own = Scaled(self.weights[None, :]) @ top.each(lambda a: a.reshape(self.n, -1))
        own = own.each(lambda a: a.reshape(shape))
        error = error.each(lambda a: np.broadcast_to(a, shape)).trimmed()
        gain = own if gain is None else lesser(own, gain.each(lambda a: np.broadcast_to(a, shape)))
        return Slopes(lo.trimmed(), hi.trimmed(), error, gain.trimmed(), two)


class _SlopeRules(Interpreter[Slopes]):
    """A table whose rules see operands that depend on the state; jumps are for Select alone."""

    def lookup(self, op: type[Op]) -> Callable[..., Any]:
        def apply(context: Context, node: Value, *operands: Slopes) -> Slopes:
            if all(o.still for o in operands) or not context.wants(node):
                return context.still(node.type.shape)
            jump = next((o.jumps for o in operands if o.jumps), "")
            if jump and op is not ops.Select:
                raise ValueError(
                    f"{op.__name__} reads {jump}, which jumps as the state moves: it has no slope. Use relu, "
                    "clip, abs, a table, or a select whose branches meet where its condition changes"
                )
            made: Slopes = super(_SlopeRules, self).lookup(op)(context, node, *operands)
            return replace(made, rising=not made.jumps and (_exactly_rising(made) or _rises(node, operands)))

        return apply


def _exactly_rising(s: Slopes) -> bool:
    """Computed without error from a map of slopes >= 0."""
    return not np.any(s.error.raw != 0) and bool(np.all(s.lo.raw >= 0))


def _rises(node: Value, operands: Sequence[Slopes]) -> bool:
    """An op that falls in no operand, of operands that fall nowhere: roundings and clips are such ops."""
    op = node.op
    if isinstance(op, ops.Neg) or not all(o.rising for o in operands):
        return False
    if isinstance(op, ops.Sub):
        return operands[1].still
    if isinstance(op, (ops.Mul, ops.MatMul)):
        return all(node.args[1 - k].type.bounds[0] >= 0 for k, o in enumerate(operands) if not o.still)
    if isinstance(op, ops.Table):
        return op.monotone == 1
    if isinstance(op, ops.Threshold):
        return op.falling is not None and not np.any(op.falling.array)
    if isinstance(op, ops.Select):
        return operands[0].still
    return True


# rule(context, node, *operand slopes) -> Slopes of the node.
slope_rules = _SlopeRules("slope_rules")


def slope_values(
    graph: Graph, states: Sequence[str], weights: Sequence[int] | None = None,
    wanted: Sequence[Node] | None = None,
) -> dict[Node, Slopes]:  # fmt: skip
    """The slopes of every value of `graph` that is reached (values inside blocks that have a rule are not).

    states   names of the inputs that are the state, flattened one after another in this order
    weights  positive integers, one per state element, for `gain`; 1 by default
    wanted   the values whose slopes are right, with those that they read: others may have none. None: all

    Raises ValueError for casts of state-dependent values that can wrap and for jumps, NotImplementedError
    naming the op for one without a rule.
    """
    from fxsim.iterate.slopes import blocks, choice, lossy  # noqa: F401  (rules enter)

    by_name = {node.name: node for node in graph.inputs}
    for name in states:
        if name not in by_name:
            raise ValueError(f"states must name inputs among {sorted(by_name)}, not {name!r}")
    if len(set(states)) != len(states) or not states:
        raise ValueError(f"states must name at least one input, each once, not {tuple(states)}")
    sizes = [by_name[s].type.size for s in states]
    n = sum(sizes)
    w = np.ones(n, np.int64) if weights is None else exact(np.array(list(weights), object))
    if w.shape != (n,) or np.any(w <= 0):
        raise ValueError(f"weights must be {n} positive integers, not {weights!r}")
    context = Context(n, w, None if wanted is None else _read_by(wanted))
    at = dict(zip(states, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    entered = []
    for node in graph.inputs:
        if node.name not in at:
            entered.append(context.still(node.type.shape))
            continue
        one = np.zeros((n, node.type.size), np.int64)
        one[at[node.name] + np.arange(node.type.size), np.arange(node.type.size)] = 1
        j = Scaled(one.reshape(n, *node.type.shape))
        entered.append(replace(context.make(j, j, Scaled.zeros(node.type.shape)), rising=True))
    return slope_rules.fold(graph, entered, context)


def slopes(
    graph: Graph, states: Sequence[str], weights: Sequence[int] | None = None,
    outputs: Sequence[Node] | None = None,
) -> tuple[Slopes, ...]:  # fmt: skip
    """The slopes of the outputs, or of these values; see `slope_values`. ValueError where one jumps."""
    asked = graph.outputs if outputs is None else tuple(outputs)
    env = slope_values(graph, states, weights, asked)
    found = tuple(env[o] for o in asked)
    for k, s in enumerate(found):
        if s.jumps:
            raise ValueError(f"output {k} is {s.jumps}, which jumps as the state moves: it has no slope")
    return found


def _read_by(nodes: Sequence[Node]) -> frozenset[Node]:
    found: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            if isinstance(node, Value):
                stack.extend(node.args)
    return frozenset(found)


# -- helpers ---------------------------------------------------------------------------------------------


def spread(a: Scaled, shape: tuple[int, ...], lead: int = 0) -> Scaled:
    """a (*lead axes, *own) broadcast to (*lead axes, *shape)."""
    return a.each(lambda r: spread_array(r, shape, lead))


def spread_array(a: Array, shape: tuple[int, ...], lead: int) -> Array:
    own = a.shape[lead:]
    ones = (1,) * (len(shape) - len(own))
    return np.broadcast_to(a.reshape((*a.shape[:lead], *ones, *own)), (*a.shape[:lead], *shape))


def value_range(node: Node, s: Slopes) -> tuple[Scaled, Scaled]:
    """Bounds of the ideal value for real states in the box: the proven codes, widened by the error.

    Every rule keeps this true, as the interval of the ideal operation on such bounds is inside the computed
    interval widened by the error that the rule adds.
    """
    t = node.type
    return Scaled(t.lo, t.frac) - s.error, Scaled(t.hi, t.frac) + s.error


def interval_product(a: tuple[Scaled, Scaled], b: tuple[Scaled, Scaled]) -> tuple[Scaled, Scaled]:
    """Elementwise [a] * [b] by the corners."""
    corners = [x * y for x in a for y in b]
    lo, hi = corners[0], corners[0]
    for c in corners[1:]:
        lo, hi = lesser(lo, c), greater(hi, c)
    return lo, hi


def largest(lo: Scaled, hi: Scaled) -> Scaled:
    """max(|lo|, |hi|)."""
    return greater(abs(lo), abs(hi))


def chain(context: Context, x: Slopes, lo: Scaled, hi: Scaled, error: Scaled) -> Slopes:
    """f(x) elementwise for a function with slopes lo..hi that is computed with `error`."""
    top = largest(lo, hi)
    bound = top.greatest()
    j = interval_product((x.lo, x.hi), (spread(lo, x.shape), spread(hi, x.shape)))
    return context.make(*j, top * x.error + error, top * x.gain, lambda: bound * x.two_norm())


def projection(context: Context, x: Slopes, mask: Array, error: Scaled) -> Slopes:
    """x where the mask is 0; where it is 1, some clip of x: a slope of 0 to 1."""
    zero = Scaled.zeros(x.lo.shape)
    lo, hi = where(mask, lesser(x.lo, zero), x.lo), where(mask, greater(x.hi, zero), x.hi)
    return context.make(lo, hi, x.error + error, x.gain, x.two_norm)


# -- wiring and exact linear ops -------------------------------------------------------------------------


@slope_rules.rule(ops.Const)
def _const(context: Context, v: Value) -> Slopes:
    return context.still(v.type.shape)


@slope_rules.rule(ops.Reshape, ops.Transpose, ops.Slice, ops.Gather, ops.Pad, ops.Window)
def _wiring(context: Context, v: Value, x: Slopes) -> Slopes:
    op, ndim = v.op, len(x.shape)
    assert isinstance(op, Wiring)

    def place(a: Array) -> Array:
        return op.place(a, ndim, 0)

    return context.make(
        x.lo.each(place), x.hi.each(place), x.error.each(place), x.gain.each(place),
        x.two_norm if isinstance(op, (ops.Reshape, ops.Transpose, ops.Slice, ops.Pad)) else None,
    )  # fmt: skip


@slope_rules.rule(ops.Concat)
def _concat(context: Context, v: Value, *xs: Slopes) -> Slopes:
    op, ndim = v.op, v.type.ndim
    assert isinstance(op, ops.Concat)

    def joined(parts: list[Scaled], lead: int) -> Scaled:
        scale = max(p.scale for p in parts)
        return Scaled(exact(np.concatenate([p.at(scale) for p in parts], op.axis % ndim + lead)), scale)

    return context.make(
        joined([x.lo for x in xs], 1), joined([x.hi for x in xs], 1), joined([x.error for x in xs], 0),
        joined([x.gain for x in xs], 0), lambda: root_sum(*(x.two_norm() for x in xs if not x.still)),
    )  # fmt: skip


def root_sum(*norms: Fraction) -> Fraction:
    """An upper bound of sqrt(sum of squares)."""
    from fxsim.iterate.norms import root_above

    return norms[0] if len(norms) == 1 else root_above(sum((m * m for m in norms), Fraction(0)))


@slope_rules.rule(ops.Add, ops.Sub)
def _add(context: Context, v: Value, a: Slopes, b: Slopes) -> Slopes:
    shape = v.type.shape
    (alo, ahi), (blo, bhi) = ((spread(s.lo, shape, 1), spread(s.hi, shape, 1)) for s in (a, b))
    error, gain = (
        spread(a.error, shape) + spread(b.error, shape),
        spread(a.gain, shape) + spread(b.gain, shape),
    )
    if isinstance(v.op, ops.Sub):
        blo, bhi = -bhi, -blo
    same = a.shape == b.shape == shape
    two = (lambda: a.two_norm() + b.two_norm()) if same else None
    if b.still and a.shape == shape:
        two = a.two_norm
    elif a.still and b.shape == shape:
        two = b.two_norm
    return context.make(alo + blo, ahi + bhi, error, gain, two)


@slope_rules.rule(ops.Neg)
def _neg(context: Context, v: Value, x: Slopes) -> Slopes:
    return context.make(-x.hi, -x.lo, x.error, x.gain, x.two_norm)


@slope_rules.rule(ops.Shift)
def _shift(context: Context, v: Value, x: Slopes) -> Slopes:
    """The value is the same."""
    return x


@slope_rules.rule(ops.Scale)
def _scale(context: Context, v: Value, x: Slopes) -> Slopes:
    op = v.op
    assert isinstance(op, ops.Scale)
    p = op.power
    return context.make(
        x.lo.shifted(p), x.hi.shifted(p), x.error.shifted(p), x.gain.shifted(p),
        lambda: x.two_norm() * Fraction(2) ** p,
    )  # fmt: skip


@slope_rules.rule(ops.Sum)
def _sum(context: Context, v: Value, x: Slopes) -> Slopes:
    op = v.op
    assert isinstance(op, ops.Sum)
    axes = tuple(a % len(x.shape) for a in op.axes)
    return _total(context, x, axes)


def _total(context: Context, x: Slopes, axes: tuple[int, ...]) -> Slopes:
    inner = tuple(a + 1 for a in axes)
    return context.make(x.lo.total(inner), x.hi.total(inner), x.error.total(axes), x.gain.total(axes))


@slope_rules.rule(ops.Mul)
def _mul(context: Context, v: Value, a: Slopes, b: Slopes) -> Slopes:
    """(a b)' = a b' + b a' over the ideal ranges; computed a b - ideal a b = a db + b da + da db."""
    shape = v.type.shape
    (alo, ahi), (blo, bhi) = (
        tuple(spread(r, shape) for r in value_range(node, s)) for node, s in zip(v.args, (a, b), strict=True)
    )
    ja = spread(a.lo, shape, 1), spread(a.hi, shape, 1)
    jb = spread(b.lo, shape, 1), spread(b.hi, shape, 1)
    first, second = interval_product(ja, (blo, bhi)), interval_product(jb, (alo, ahi))
    amax, bmax = largest(alo, ahi), largest(blo, bhi)
    # The ideal ranges hold the computed values too, so that |a| db + |ideal b| da bounds the product's error.
    error = amax * spread(b.error, shape) + bmax * spread(a.error, shape)
    gain = amax * spread(b.gain, shape) + bmax * spread(a.gain, shape)
    two = None
    if b.still and a.shape == shape:
        bound = bmax.greatest()
        two = lambda: bound * a.two_norm()  # noqa: E731
    elif a.still and b.shape == shape:
        bound = amax.greatest()
        two = lambda: bound * b.two_norm()  # noqa: E731
    return context.make(first[0] + second[0], first[1] + second[1], error, gain, two)


@slope_rules.rule(ops.ShiftLeft)
def _shift_left(context: Context, v: Value, a: Slopes, n: Slopes) -> Slopes:
    if not n.still:
        raise ValueError("ShiftLeft by a count that depends on the state jumps: it has no slope")
    shape, count = v.type.shape, v.args[1].type
    lo, hi = (
        Scaled(np.broadcast_to(shift_left(np.ones(count.shape, np.int64), k), shape))
        for k in (count.lo, count.hi)
    )
    j = interval_product((spread(a.lo, shape, 1), spread(a.hi, shape, 1)), (lo, hi))
    return context.make(*j, hi * spread(a.error, shape), hi * spread(a.gain, shape))


@slope_rules.rule(ops.MatMul)
def _matmul(context: Context, v: Value, a: Slopes, b: Slopes) -> Slopes:
    """Products and sums as Mul and Sum do them; for the one still factor as matrix products of bounds."""
    x, y = v.args
    vector_a, vector_b = x.type.ndim == 1, y.type.ndim == 1
    ndim = max(x.type.ndim, y.type.ndim, 2)

    def left(s: Scaled, lead: int) -> Scaled:
        """(*lead, ..., M, K), with as many axes as the result has."""
        own = s.shape[lead:]
        own = (1, *own) if vector_a else own
        return s.each(lambda r: r.reshape((*r.shape[:lead], *(1,) * (ndim - len(own)), *own)))

    def right(s: Scaled, lead: int) -> Scaled:
        own = s.shape[lead:]
        own = (*own, 1) if vector_b else own
        return s.each(lambda r: r.reshape((*r.shape[:lead], *(1,) * (ndim - len(own)), *own)))

    (alo, ahi), (blo, bhi) = value_range(x, a), value_range(y, b)
    A = left(alo, 0), left(ahi, 0)
    B = right(blo, 0), right(bhi, 0)
    amax, bmax = largest(*A), largest(*B)
    error = amax @ right(b.error, 0) + left(a.error, 0) @ bmax
    gain = amax @ right(b.gain, 0) + left(a.gain, 0) @ bmax
    total: tuple[Scaled, Scaled] | None = None
    if not a.still:
        total = _interval_matmul((left(a.lo, 1), left(a.hi, 1)), B)
    if not b.still:
        second = _interval_matmul(A, (right(b.lo, 1), right(b.hi, 1)))
        total = second if total is None else (total[0] + second[0], total[1] + second[1])
    assert total is not None
    shape = v.type.shape
    lo, hi = (t.each(lambda r: r.reshape(context.n, *shape)) for t in total)
    error, gain = (t.each(lambda r: r.reshape(shape)) for t in (error, gain))
    two = None
    if b.still and y.type.ndim <= 2 and not bool(np.any(y.type.lo != y.type.hi)):
        two = _times_constant(y.type, a)
    elif a.still and x.type.ndim <= 2 and vector_b and not bool(np.any(x.type.lo != x.type.hi)):
        two = _times_constant(x.type, b)
    return context.make(lo, hi, error, gain, two)


def _times_constant(matrix: TensorType, x: Slopes) -> Callable[[], Fraction]:
    from fxsim.iterate.norms import two_norm

    raw = matrix.lo if matrix.ndim == 2 else matrix.lo.reshape(-1, 1)
    return lambda: two_norm(raw, matrix.frac) * x.two_norm()


def _interval_matmul(a: tuple[Scaled, Scaled], b: tuple[Scaled, Scaled]) -> tuple[Scaled, Scaled]:
    """[a] @ [b]: positive and negative parts where one factor is a point, else term by term."""
    if not np.any(exceeds(b[1], b[0])):
        up, down = _parts(b[0])
        return a[0] @ up + a[1] @ down, a[1] @ up + a[0] @ down
    if not np.any(exceeds(a[1], a[0])):
        up, down = _parts(a[0])
        return up @ b[0] + down @ b[1], up @ b[1] + down @ b[0]
    total: tuple[Scaled, Scaled] | None = None
    for k in range(a[0].shape[-1]):
        at = slice(k, k + 1)
        column = Scaled(a[0].raw[..., :, at], a[0].scale), Scaled(a[1].raw[..., :, at], a[1].scale)
        row = Scaled(b[0].raw[..., at, :], b[0].scale), Scaled(b[1].raw[..., at, :], b[1].scale)
        p = interval_product(column, row)
        total = p if total is None else (total[0] + p[0], total[1] + p[1])
    assert total is not None
    return total


def _parts(s: Scaled) -> tuple[Scaled, Scaled]:
    zero = Scaled.zeros(s.shape)
    return greater(s, zero), lesser(s, zero)
