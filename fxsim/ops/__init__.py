"""The op set: frozen parameters and a typing rule each. Everything is exact but Cast, Accumulate and Div."""

from fxsim.ops.arithmetic import Add, Const, Div, MatMul, Mul, Neg, Scale, Shift, ShiftLeft, Sub, Sum
from fxsim.ops.bits import And, Not, Or, Xor
from fxsim.ops.choice import ArgMax, Compare, Max, Min, ReduceMax, ReduceMin, Select
from fxsim.ops.lookup import LeadingOne, Table, Threshold
from fxsim.ops.lossy import Accumulate, Cast
from fxsim.ops.wiring import Concat, Gather, Pad, Reshape, Slice, Transpose, Window

ALL = (
    Const, Add, Sub, Neg, Shift, Scale, Mul, MatMul, Sum, ShiftLeft, Div,
    Min, Max, ReduceMin, ReduceMax, ArgMax, Compare, Select,
    Table, Threshold, LeadingOne,
    And, Or, Xor, Not,
    Cast, Accumulate,
    Window, Reshape, Transpose, Slice, Concat, Gather, Pad,
)  # fmt: skip

__all__ = [
    "ALL",
    "Const", "Add", "Sub", "Neg", "Shift", "Scale", "Mul", "MatMul", "Sum", "ShiftLeft", "Div",
    "Min", "Max", "ReduceMin", "ReduceMax", "ArgMax", "Compare", "Select",
    "Table", "Threshold", "LeadingOne",
    "And", "Or", "Xor", "Not",
    "Cast", "Accumulate",
    "Window", "Reshape", "Transpose", "Slice", "Concat", "Gather", "Pad",
]  # fmt: skip
