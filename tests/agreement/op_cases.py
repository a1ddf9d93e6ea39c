"""Every op on operands of 3 bits: the one list that every reading is tested on, over all operand values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from fxsim import SQ, UQ, Format, Graph, Overflow, Rounding, TensorType, ops
from fxsim.boundary import FormatEncoder
from fxsim.graph import Op
from fxsim.integers import Array, IntArray
from fxsim.trace import Builder, Tensor

S3, U3, S2, U2, BIT = SQ(3, 0), UQ(3, 0), SQ(2, 0), UQ(2, 0), UQ(1, 0)

# (overflow, N) of every overflow rule.
OVERFLOWS: tuple[tuple[Overflow, int], ...] = (
    (Overflow.WRAP, 0), (Overflow.WRAP, 1), (Overflow.WRAP, 3), (Overflow.SAT, 0), (Overflow.SAT_SYM, 0),
    (Overflow.SAT_ZERO, 0), (Overflow.WRAP_SM, 0), (Overflow.WRAP_SM, 1), (Overflow.WRAP_SM, 2),
)  # fmt: skip

# (frac, width, signed) for casts of codes at frac 2: kept, narrowed, no bit, finer, coarser than any bit.
FORMATS: tuple[tuple[int, int, int], ...] = (
    (2, 3, 1), (2, 4, 0), (2, 2, 1), (2, 2, 0), (2, 1, 1), (2, 1, 0), (1, 2, 1), (1, 2, 0), (1, 1, 1),
    (0, 3, 1), (0, 2, 1), (0, 1, 1), (0, 1, 0), (0, 0, 1), (0, 0, 0), (3, 3, 1), (4, 3, 1), (4, 4, 0),
    (5, 2, 1), (-1, 2, 1), (-1, 1, 1), (-4, 1, 0), (-4, 2, 1), (-4, 3, 0),
)  # fmt: skip


@dataclass(frozen=True)
class OpCase:
    """One op and its operands: a TensorType varies over its set, an IntArray is a constant.

    With `lockstep` every element runs through its own values at the same time, which covers an elementwise op
    of one operand; else all combinations of all elements' values are taken.
    """

    name: str
    op: Op
    operands: tuple[TensorType | IntArray, ...]
    lockstep: bool = False

    @property
    def inputs(self) -> tuple[TensorType, ...]:
        return tuple(o for o in self.operands if isinstance(o, TensorType))

    def stimulus(self) -> list[Array]:
        """Raw codes per varying operand, shape (n, *shape)."""
        values = [elements(t) for t in self.inputs]
        if self.lockstep:
            n = max(len(v) for e in values for v in e)
            columns = [[np.resize(np.array(v), n) for v in e] for e in values]
        else:
            sizes = [len(v) for e in values for v in e]
            if prod(sizes) > 512:
                raise ValueError(f"{self.name} has too many combinations: {prod(sizes)}")
            grid = iter(np.array(list(product(*(v for e in values for v in e))), np.int64).T)
            columns = [[next(grid) for _ in e] for e in values]
        n = len(columns[0][0]) if columns and columns[0] else 1
        return [
            np.array(c, np.int64).T.reshape(n, *t.shape) for c, t in zip(columns, self.inputs, strict=True)
        ]

    def graph(self) -> Graph:
        return combined([self])


def elements(t: TensorType) -> list[list[int]]:
    """The values of each element's set, row-major."""
    out = []
    for i in np.ndindex(t.shape):
        lo, hi = int(t.lo[i]), int(t.hi[i])
        out.append(list(range(lo, hi + 1, 1 if lo == hi else 1 << int(t.stride[i]))))
    return out


def combined(cases: Sequence[OpCase], name: str = "cases") -> Graph:
    """One graph of many cases: inputs and outputs are named after them, so that a reading is built once."""
    builder = Builder(name)
    outputs = []
    for case in cases:
        args: list[Tensor] = []
        for k, operand in enumerate(case.operands):
            if isinstance(operand, TensorType):
                args.append(builder.input(f"{case.name}_{k}", operand, FormatEncoder(operand.lane())))
            else:
                args.append(builder.apply(ops.Const(operand)))
        if args:
            outputs.append(builder.apply(case.op, *args))
        else:
            outputs.append(builder.apply(case.op))
    return builder.finish(outputs, [c.name for c in cases])


def combined_stimulus(cases: Sequence[OpCase]) -> list[Array]:
    """The cases' stimuli side by side, shorter ones repeated to the longest."""
    parts = [case.stimulus() for case in cases]
    n = max((len(a) for p in parts for a in p), default=1)
    return [a[np.arange(n) % len(a)] for p in parts for a in p]


def of(fmt: Format, *shape: int, frac: int = 0) -> TensorType:
    t = TensorType.of(fmt, shape)
    return TensorType(shape, frac, t.lo, t.hi)


def span(lo: int, hi: int, stride: int = 0, frac: int = 0) -> TensorType:
    return TensorType((), frac, np.asarray(lo), np.asarray(hi), stride)


def cast_op(
    rounding: Rounding, overflow: Overflow, n: int, source_width: int | None = 3,
    formats: Sequence[tuple[int, int, int]] = FORMATS,
) -> ops.Cast:  # fmt: skip
    """One cast whose elements have every format that the overflow mode allows."""
    kept = [
        (f, w, s) for f, w, s in formats if (w == 0 or w >= n) and (s or overflow is not Overflow.WRAP_SM)
    ]
    frac, width, signed = (IntArray(np.array(c)) for c in zip(*kept, strict=True))
    return ops.Cast(frac, width, signed, rounding, overflow, n, source_width)


def _pairs() -> list[OpCase]:
    named: list[tuple[str, Op]] = [
        ("add", ops.Add()), ("sub", ops.Sub()), ("mul", ops.Mul()), ("div", ops.Div()), ("min", ops.Min()),
        ("max", ops.Max()), ("and", ops.And()), ("or", ops.Or()), ("xor", ops.Xor()),
        *((f"compare_{k}", ops.Compare(k)) for k in ops.Compare.KINDS),
    ]  # fmt: skip
    kinds = {"ss": (S3, S3), "uu": (U3, U3), "su": (S3, U3), "us": (U3, S3)}
    out = [
        OpCase(f"{name}_{signs}", op, (of(x), of(y))) for name, op in named for signs, (x, y) in kinds.items()
    ]
    for name, op in named:
        out.append(OpCase(f"{name}_even", op, (span(-4, 2, 1), span(0, 4, 2))))
        out.append(OpCase(f"{name}_row", op, (of(S3, 2), of(S3, 1, 1))))
        for value in (-4, 0, 3):
            label = str(value).replace("-", "m")
            out.append(OpCase(f"{name}_by_{label}", op, (of(S3), IntArray(value))))
            out.append(OpCase(f"{name}_of_{label}", op, (IntArray(value), of(S3))))
    return out


def _singles() -> list[OpCase]:
    out = []
    for signs, x in (("s", of(S3)), ("u", of(U3)), ("even", span(-4, 2, 1)), ("zero", span(0, 0))):
        out += [
            OpCase(f"neg_{signs}", ops.Neg(), (x,)),
            OpCase(f"not_{signs}", ops.Not(), (x,)),
            OpCase(f"shift_up_{signs}", ops.Shift(2), (x,)),
            OpCase(f"scale_{signs}", ops.Scale(-3), (x,)),
            OpCase(f"shift_left_{signs}", ops.ShiftLeft(), (x, of(U2))),
            OpCase(f"shift_left_some_{signs}", ops.ShiftLeft(), (x, span(2, 7))),
            OpCase(f"sum_nothing_{signs}", ops.Sum(()), (x,)),
        ]
    out += [
        OpCase("const", ops.Const(IntArray([[-4, 0], [3, 7]]), 1), ()),
        OpCase("shift_down", ops.Shift(-1), (span(-4, 2, 1),)),
        OpCase("shift_left_constant", ops.ShiftLeft(), (IntArray([-3, 0, 5]), of(U3))),
        OpCase("shift_left_by_constant", ops.ShiftLeft(), (of(S3), IntArray([0, 1, 6]))),
        OpCase("leading_one", ops.LeadingOne(), (of(U3),)),
        OpCase("leading_one_even", ops.LeadingOne(), (span(0, 4, 2),)),
        OpCase("sum_axis", ops.Sum((0,)), (of(S2, 2, 2),)),
        OpCase("sum_all", ops.Sum((0, 1)), (of(U2, 2, 2),)),
        OpCase("matmul_constant", ops.MatMul(), (of(S3, 3), IntArray([[1, -3, 0], [2, 5, 0], [-7, 4, 6]]))),
        OpCase("matmul_constant_unsigned", ops.MatMul(), (of(U3, 3), IntArray([[1, -3], [0, 5], [-7, 4]]))),
        OpCase("matmul_rows", ops.MatMul(), (of(S2, 2, 2), IntArray([[3, -1], [0, 6]]))),
        OpCase("matmul_left_constant", ops.MatMul(), (IntArray([[3, -1], [0, 6]]), of(S3, 2))),
        OpCase("matmul_dot", ops.MatMul(), (of(S2, 2), of(U2, 2))),
        OpCase("matmul_varying", ops.MatMul(), (of(S2, 1, 2), of(S2, 2, 1))),
    ]
    return out


def _choices() -> list[OpCase]:
    out = []
    for name, op in (("min", ops.ReduceMin), ("max", ops.ReduceMax), ("arg", ops.ArgMax)):
        out += [
            OpCase(f"reduce_{name}_s", op(0), (of(S3, 3),)),
            OpCase(f"reduce_{name}_u", op(-1), (of(U3, 3),)),
            OpCase(f"reduce_{name}_rows", op(0), (of(S2, 2, 2),)),
            OpCase(f"reduce_{name}_one", op(0), (of(S3, 1, 2),)),
            # Equal constants around a varying element: the first index must win.
            OpCase(f"reduce_{name}_ties", op(0), (TensorType((3,), 0, [2, 0, 2], [2, 2, 2]),)),
        ]
    return out + [
        OpCase("select_ss", ops.Select(), (of(BIT), of(S3), of(S3))),
        OpCase("select_su", ops.Select(), (of(BIT), of(S3), of(U3))),
        OpCase("select_constants", ops.Select(), (of(BIT), IntArray([-3, 2]), IntArray([5, 2]))),
        OpCase("select_rows", ops.Select(), (of(BIT, 2, 1), of(S3), IntArray([0, 1]))),
        OpCase("select_known", ops.Select(), (IntArray([0, 1]), of(S3), of(U3))),
    ]


def _lookups() -> list[OpCase]:
    rows = IntArray([[0, 1, -2, 3, -4, 5, 6, 7], [9, 9, 9, 9, 9, 9, 9, 9]])
    levels = IntArray([[-3, -1, 0, 0, 2], [-9, -4, 3, 3, 3]])
    return [
        OpCase("table", ops.Table(IntArray([3, -7, 0, 1, 12, -1, 2, 2]), -4), (of(S3),)),
        OpCase("table_wider", ops.Table(IntArray(np.arange(11)[::-1] * 4), -2, 2), (of(U3),)),
        OpCase("table_even", ops.Table(IntArray([2, 1, 4, 1, 8, 1, 6]), -4), (span(-4, 2, 1),)),
        OpCase("table_rows", ops.Table(rows, -4, 0, 0), (of(S3, 2),)),
        OpCase("table_columns", ops.Table(rows, 0, 0, -1), (of(U3, 1, 2),)),
        OpCase("threshold", ops.Threshold(IntArray([[-3, -1, 0, 0, 2]])), (of(S3),)),
        OpCase("threshold_beyond", ops.Threshold(IntArray([[-9, 0, 4, 9]])), (of(S3),)),
        OpCase("threshold_twice", ops.Threshold(IntArray([[1, 1, 4, 4]])), (of(U3),)),
        OpCase("threshold_none", ops.Threshold(IntArray(np.zeros((1, 0), np.int64))), (of(S3),)),
        OpCase("threshold_rows", ops.Threshold(levels, 0, IntArray([0, 1])), (of(S3, 2),)),
        OpCase("threshold_falling", ops.Threshold(IntArray([[0, 3]]), None, IntArray([1])), (of(U3, 2),)),
    ]


def _wiring() -> list[OpCase]:
    x = of(S2, 2, 2)
    return [
        OpCase("reshape", ops.Reshape((4, 1)), (x,)),
        OpCase("transpose", ops.Transpose((1, 0)), (x,)),
        OpCase("slice", ops.Slice((1, 0), (None, 1), (-1, 1)), (x,)),
        OpCase("gather", ops.Gather(IntArray([[1, 0, 1]]), 1), (x,)),
        OpCase("pad", ops.Pad((1, 0), (0, 2), -9), (x,)),
        OpCase("window", ops.Window((2,), (1,), (1,), (1,), (1,), 5), (of(S3, 2, 1),)),
        OpCase("window_square", ops.Window((2, 1), (2, 1), (1, 2), (0, 1), (0, 0)), (x,)),
        OpCase("concat", ops.Concat(0), (of(S3, 1, 1), IntArray([[6]]), of(U3, 1, 1))),
    ]


def casts(share: int = 1) -> list[OpCase]:
    """Every rounding x overflow x N over all formats of FORMATS, from signed and unsigned codes at frac 2.

    With a share k, each mode takes every k-th format only, another k-th than the mode before.
    """
    out = []
    for i, (rounding, (overflow, n)) in enumerate(product(Rounding, OVERFLOWS)):
        op = cast_op(rounding, overflow, n, formats=FORMATS[i % share :: share])
        for signs, fmt in (("s", S3), ("u", U3)):
            source = of(fmt, op.frac.shape[0], frac=2)
            out.append(OpCase(f"cast_{rounding}_{overflow}_{n}_{signs}", op, (source,), lockstep=True))
    return out


def accumulates() -> list[OpCase]:
    """Ordered sums of 3 codes: every overflow, with some rounding, finer and coarser than the operand."""
    out = []
    roundings = list(Rounding)
    for k, (overflow, n) in enumerate(OVERFLOWS):
        for frac, width in ((0, 3), (-1, 3), (1, 4)):
            for signed in (True, False):
                if not signed and overflow is Overflow.WRAP_SM:
                    continue
                rounding = roundings[(k + frac) % len(roundings)]
                fmt = Format(width, width - frac, signed, rounding, overflow, n)
                name = f"accumulate_{overflow}_{n}_{'s' if signed else 'u'}{width}_{frac}".replace("-", "m")
                out.append(OpCase(name, ops.Accumulate(0, fmt), (of(S3, 3),)))
    return out


OTHERS: tuple[OpCase, ...] = (*_pairs(), *_singles(), *_choices(), *_lookups(), *_wiring(), *accumulates())
CASTS: tuple[OpCase, ...] = tuple(casts())
CASES: tuple[OpCase, ...] = (*OTHERS, *CASTS)
