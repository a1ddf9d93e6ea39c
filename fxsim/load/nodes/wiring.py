"""Handlers of the ops that only move elements, and of the constants that say how."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array
from fxsim.load.affine import Activation, Constant, Symbol
from fxsim.load.loader import Loader, handles, static
from fxsim.load.model import INTEGER_TYPES, FileNode
from fxsim.load.onnx_file import evaluate

# TensorProto's numbers of float32 and float64, and of integer types.
FLOATS = (1, 11)
INTEGERS = INTEGER_TYPES | {6: (32, True), 7: (64, True), 12: (32, False), 13: (64, False)}


@handles("Constant")
def constant(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """A tensor stored in a node."""
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            dtype = {"value": None, "value_float": np.float32, "value_floats": np.float32}.get(name, np.int64)
            return Constant(np.asarray(node.attributes[name], dtype))
    raise loader.error(node, "has no readable value", "store the value as a numeric tensor")


@handles("Identity", "Dropout")
def identity(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The operand itself; Dropout does nothing at inference."""
    out: Symbol = operands[0]
    return out


@handles("Cast")
def cast(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """To float32 or float64, where a tensor keeps its exact reals; to an integer type that holds it."""
    to = int(node.get("to", 0))
    if to in FLOATS:
        return loader.real(node, operands[0])
    x = loader.activation(node, operands[0])
    if to in INTEGERS and x.identity and x.tensor.frac <= 0:
        bits, signed = INTEGERS[to]
        lo, hi = (v << -x.tensor.frac for v in x.tensor.type.bounds)
        if -(1 << (bits - 1)) * signed <= lo and hi < 1 << (bits - signed):
            return x
    raise loader.error(
        node, f"casts to type {to}",
        "cast to float (1), or integers to a type that holds them; quantize with a Quant node",
    )  # fmt: skip


@handles("Shape")
def shape(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """The static shape, with the file's batch."""
    x = operands[0]
    full = x.values.shape if isinstance(x, Constant) else (loader.batch, *x.shape)
    return Constant(np.array(full[node.get("start", 0) : node.get("end", len(full))], np.int64))


@handles("Flatten")
def flatten(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """(batch, ...) to (batch, features)."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x)
    full = (loader.batch, *x.shape)
    axis = node.get("axis", 1)
    axis = axis + len(full) if axis < 0 else axis
    return reshaped(loader, node, x, (int(np.prod(full[:axis])), int(np.prod(full[axis:]))))


@handles("Reshape")
def reshape(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """A constant target shape; 0 keeps an axis, -1 is what remains."""
    x, target = operands[0], loader.constant(node, operands[1], "shape")
    if isinstance(x, Constant):
        return folded(loader, node, x, target)
    full = (loader.batch, *x.shape)
    dims = list(static(target.values))
    if not node.get("allowzero", 0):
        if any(d == 0 and i >= len(full) for i, d in enumerate(dims)):
            raise loader.error(node, f"has a 0 in {tuple(dims)} beyond its input's axes", "give that size")
        dims = [full[i] if d == 0 else d for i, d in enumerate(dims)]
    if -1 in dims:
        rest = int(np.prod([d for d in dims if d != -1]))
        dims[dims.index(-1)] = int(np.prod(full)) // rest if rest else 0
    return reshaped(loader, node, x, tuple(dims))


@handles("Squeeze", "Unsqueeze")
def squeeze(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Axes of size 1 taken away or put in (the batch axis stays)."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x, *operands[1:])
    full = (loader.batch, *x.shape)
    axes = node.get("axes")
    if len(operands) > 1 and operands[1] is not None:
        axes = static(loader.constant(node, operands[1], "list of axes").values)
    if node.op == "Unsqueeze":
        rank = len(full) + len(axes)
        places = {a % rank for a in axes}
        rest = iter(full)
        return reshaped(loader, node, x, tuple(1 if i in places else next(rest) for i in range(rank)))
    places = (
        {a % len(full) for a in axes} if axes is not None else {i for i, n in enumerate(full) if n == 1 and i}
    )
    if any(full[i] != 1 for i in places):
        raise loader.error(
            node, f"squeezes axes {sorted(places)} of {full}, which are not all 1", "correct its axes"
        )
    return reshaped(loader, node, x, tuple(n for i, n in enumerate(full) if i not in places))


@handles("Transpose")
def transpose(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """A permutation that leaves the batch axis first."""
    x = operands[0]
    if isinstance(x, Constant):
        return folded(loader, node, x)
    perm = tuple(node.get("perm", tuple(reversed(range(len(x.shape) + 1)))))
    if not perm or perm[0] != 0:
        raise loader.error(node, f"moves the batch axis (perm {perm})", "keep axis 0 first")
    return loader.wired(node, x, ops.Transpose(tuple(p - 1 for p in perm[1:])))


def reshaped(loader: Loader, node: FileNode, x: Symbol, full: tuple[int, ...]) -> Symbol:
    """x with the shape `full` (batch first); ValueError if it mixes the batch with other axes."""
    assert not isinstance(x, Constant)
    old = (loader.batch, *x.shape)
    if int(np.prod(full)) != int(np.prod(old)) or not full or full[0] != loader.batch:
        raise loader.error(
            node, f"turns {old} into {full}, which does not keep the batch axis",
            f"reshape to ({loader.batch}, ...) or (0, ...)",
        )  # fmt: skip
    if full == old:
        return x
    op = ops.Reshape(full[1:])
    if not isinstance(x, Activation):
        return loader.wired(node, x, op)
    with loader.builder.block("flatten", loader.block_name(node), [x.tensor]) as outputs:
        result = loader.wired(node, x, op)
        assert isinstance(result, Activation)
        outputs.append(result.tensor)
    return result


def folded(loader: Loader, node: FileNode, x: Constant, *rest: Symbol | None) -> Constant:
    """A wiring op on a constant: on its values, and on its integers and scales if it is quantized."""
    fixed = [loader.constant(node, r, "parameter").values for r in rest]

    def move(a: Array) -> Array:
        return evaluate(node, [a, *fixed], loader.model.opset)[0]

    if x.codes is None or x.scale is None:
        return Constant(move(x.values))
    scale = np.array(np.broadcast_to(x.scale, x.codes.shape))
    return Constant(move(x.values), move(x.codes), move(scale))
