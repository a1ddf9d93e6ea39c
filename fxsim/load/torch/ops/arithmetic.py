"""Translators of element-wise arithmetic, activation functions, and choices."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.load.torch.program import NEAREST, Program, translates

NEAREST.update(
    {
        "aten::einsum": "write it with matmul and permute",
        "aten::group_norm": "use batch_norm, which is folded into the next quantizer",
        "aten::instance_norm": "use batch_norm, which is folded into the next quantizer",
        "aten::where": "write the choice with relu, clamp or maximum",
        "aten::embedding": "let the host look the codes up, and give them as input",
        "aten::scaled_dot_product_attention": "write it with matmul and softmax, a quantizer after each",
        "aten::lstm": "a recurrence is a fxsim.Machine: load the module of one step",
        "aten::gru": "a recurrence is a fxsim.Machine: load the module of one step",
        "aten::fused_moving_avg_obs_fake_quant": "disable the observer and export again "
        "(module.apply(torch.ao.quantization.disable_observer)), or give the module itself to fxsim.load",
        "aten::quantize_per_tensor": "use fake quantization, or quantized_decomposed.quantize_per_tensor",
    }
)


@translates("aten::add", "aten::sub")
def add(p: Program, node: Any, a: dict[str, Any]) -> str:
    """self + alpha * other."""
    op = "Add" if p.op(node) == "aten::add" else "Sub"
    other = operand(a["other"])
    if a["alpha"] != 1:
        if isinstance(other, str):
            other = p.emit("Mul", [other, operand(a["alpha"])], p.name(node, "alpha"))
        else:
            other = other * np.float32(a["alpha"])
    return p.emit(op, [operand(a["self"]), other], p.name(node))


@translates("aten::rsub")
def rsub(p: Program, node: Any, a: dict[str, Any]) -> str:
    """other - self."""
    if a["alpha"] != 1:
        raise p.error(node, f"has alpha = {a['alpha']}", "multiply before")
    return p.emit("Sub", [operand(a["other"]), operand(a["self"])], p.name(node))


@translates("aten::mul")
def mul(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A product."""
    return p.emit("Mul", [operand(a["self"]), operand(a["other"])], p.name(node))


@translates("aten::div")
def div(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A quotient."""
    if a.get("rounding_mode") is not None:
        raise p.error(
            node, f"has rounding_mode = {a['rounding_mode']!r}", "divide plainly and quantize the result"
        )
    return p.emit("Div", [operand(a["self"]), operand(a["other"])], p.name(node))


@translates("aten::square", "aten::pow")
def power(p: Program, node: Any, a: dict[str, Any]) -> str:
    """x to a constant power."""
    if "base" in a or isinstance(a.get("exponent"), str):
        raise p.error(node, "has an exponent computed from the input", "use a constant exponent")
    return p.emit("Pow", [a["self"], operand(a.get("exponent", 2))], p.name(node))


@translates("aten::neg")
def neg(p: Program, node: Any, a: dict[str, Any]) -> str:
    """-x."""
    return p.emit("Mul", [a["self"], np.float32(-1)], p.name(node))


def operand(value: Any) -> Any:
    """A Python number as a float32 constant, as torch takes it beside a float32 tensor."""
    return np.asarray(value, np.float32) if isinstance(value, (int, float)) else value


@translates("aten::relu")
def relu(p: Program, node: Any, a: dict[str, Any]) -> str:
    """max(x, 0)."""
    return p.emit("Relu", [a["self"]], p.name(node))


@translates("aten::relu6", "aten::hardtanh", "aten::clamp", "aten::clamp_min", "aten::clamp_max")
def clamp(p: Program, node: Any, a: dict[str, Any]) -> str:
    """min(max(x, low), high)."""
    op = p.op(node)
    low: Any
    high: Any
    if op == "aten::relu6":
        low, high = 0.0, 6.0
    elif op == "aten::hardtanh":
        low, high = a["min_val"], a["max_val"]
    else:
        low, high = a.get("min"), a.get("max")
    ends = [bound(p, node, v) for v in (low, high)]
    return p.emit("Clip", [a["self"], *ends], p.name(node))


def bound(p: Program, node: Any, value: Any) -> Any:
    """A bound as one float32 number."""
    if value is None:
        return None
    if isinstance(value, str) or np.size(value) != 1:
        raise p.error(node, "has a bound that is no constant number", "use one number")
    return np.asarray(value, np.float32).reshape(())


@translates("aten::sigmoid", "aten::tanh", "aten::hardsigmoid", "aten::hardswish", "aten::leaky_relu",
            "aten::elu", "aten::gelu", "aten::silu", "aten::softplus", "aten::exp", "aten::mish",
            "aten::softsign", "aten::abs", "aten::sqrt", "aten::log", "aten::sign",
            "aten::erf", "aten::selu", "aten::celu", "aten::reciprocal")  # fmt: skip
def function(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A function of one number: ONNX's op of the same meaning."""
    name = p.op(node).partition("::")[2]
    op, attributes = ONE_NUMBER[name](a)
    if not p.known(op):
        raise p.unsupported(node, f"aten.{name}")
    x = a["self"] if "self" in a else a["input"]
    return p.emit(op, [x], p.name(node), **attributes)


ONE_NUMBER: dict[str, Any] = {
    "sigmoid": lambda a: ("Sigmoid", {}),
    "tanh": lambda a: ("Tanh", {}),
    "hardsigmoid": lambda a: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hardswish": lambda a: ("HardSwish", {}),
    "leaky_relu": lambda a: ("LeakyRelu", {"alpha": float(a["negative_slope"])}),
    "elu": lambda a: ("Elu", {"alpha": float(a["alpha"])}),
    "gelu": lambda a: ("Gelu", {"approximate": str(a["approximate"])}),
    "silu": lambda a: ("Swish", {}),
    "softplus": lambda a: ("Softplus", {}),
    "exp": lambda a: ("Exp", {}),
    "mish": lambda a: ("Mish", {}),
    "softsign": lambda a: ("Softsign", {}),
    "abs": lambda a: ("Abs", {}),
    "sqrt": lambda a: ("Sqrt", {}),
    "log": lambda a: ("Log", {}),
    "sign": lambda a: ("Sign", {}),
    "erf": lambda a: ("Erf", {}),
    "selu": lambda a: ("Selu", {}),
    "celu": lambda a: ("Celu", {"alpha": float(a["alpha"])}),
    "reciprocal": lambda a: ("Reciprocal", {}),
}


@translates("aten::prelu")
def prelu(p: Program, node: Any, a: dict[str, Any]) -> str:
    """x where x >= 0, else slope * x; one slope, or one per channel."""
    slope = a["weight"]
    if not isinstance(slope, str) and slope.numel() > 1:
        slope = slope.reshape(-1, *[1] * (len(p.sizes(node)) - 2))
    return p.emit("PRelu", [a["self"], slope], p.name(node))


@translates("aten::softmax", "aten::_softmax")
def softmax(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Softmax along one axis."""
    return p.emit("Softmax", [a["self"]], p.name(node), axis=int(a["dim"]))


@translates("aten::log_softmax", "aten::_log_softmax")
def log_softmax(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Its logarithm."""
    if not p.known("LogSoftmax"):
        raise p.error(node, "has no integer form", "return the logits: argmax is the same")
    return p.emit("LogSoftmax", [a["self"]], p.name(node), axis=int(a["dim"]))


@translates("aten::argmax")
def argmax(p: Program, node: Any, a: dict[str, Any]) -> str:
    """The first index of the greatest."""
    if a["dim"] is None:
        raise p.error(node, "has no dim, so that it runs over the batch", "give dim=1")
    return p.emit("ArgMax", [a["self"]], p.name(node), axis=int(a["dim"]), keepdims=int(a["keepdim"]))


@translates("aten::topk")
def topk(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """The k greatest and their places."""
    inputs = [a["self"], np.array([a["k"]], np.int64)]
    name = p.emit(
        "TopK", inputs, p.name(node), outputs=2, axis=int(a["dim"]), largest=int(a["largest"]),
        sorted=int(a["sorted"]),
    )  # fmt: skip
    return name, f"{name}.1"


@translates("aten::maximum", "aten::minimum", "aten::max", "aten::min")
def extreme(p: Program, node: Any, a: dict[str, Any]) -> str:
    """The greater or smaller of two tensors."""
    op = "Max" if "max" in p.op(node) else "Min"
    if "other" not in a:
        raise p.error(node, "reduces a tensor", "use amax or amin for values, argmax for places")
    if not p.known(op):
        raise p.unsupported(node, p.op(node).replace("::", "."))
    return p.emit(op, [a["self"], a["other"]], p.name(node))


@translates("aten::mean", "aten::sum", "aten::amax", "aten::amin")
def reduce(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A reduction over axes other than the batch."""
    op = {"mean": "ReduceMean", "sum": "ReduceSum", "amax": "ReduceMax", "amin": "ReduceMin"}
    name = p.op(node).partition("::")[2]
    dim = a.get("dim")
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else () if dim is None else (dim,)
    if not dims:
        raise p.error(node, "reduces all axes, the batch too", "give dim the axes from 1 on")
    if not p.known(op[name]):
        raise p.unsupported(node, f"aten.{name}")
    axes = np.array(dims, np.int64)
    return p.emit(op[name], [a["self"], axes], p.name(node), keepdims=int(a["keepdim"]))
