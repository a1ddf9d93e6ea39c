"""Translators of what only moves elements: reshapes, permutations, slices, joins, pads."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.load.torch.program import Program, translates

FLOAT = "torch.float32"
END = (1 << 63) - 1


@translates(
    "aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::clone", "aten::contiguous",
    "aten::detach", "aten::alias", "aten::lift_fresh_copy", "aten::detach_copy", "aten::positive",
    "aten::native_dropout", "aten::expand",
)  # fmt: skip
def same(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """The tensor itself."""
    x = a["input"] if "input" in a else a["self"]
    if a.get("train"):
        raise p.error(node, "is in training mode", "call module.eval() before torch.export.export")
    if p.sizes(node.args[0]) != p.sizes(node):
        raise p.error(
            node, f"turns {p.sizes(node.args[0])} into {p.sizes(node)}", "let arithmetic broadcast by itself"
        )
    y = named(p, node, x)
    return (y, None) if p.op(node) == "aten::native_dropout" else y


@translates("aten::to", "aten::_to_copy", "aten::type_as")
def to(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """float32 stays float32."""
    kind, old = (str(v.meta["val"].dtype) for v in (node, node.args[0]))
    if kind != old and not (kind == FLOAT and old.startswith(("torch.int", "torch.uint"))):
        raise p.error(node, f"changes the type to {kind}", "stay with float32, and quantize with a quantizer")
    return named(p, node, a["self"])


def named(p: Program, node: Any, x: Any) -> Any:
    """The same tensor; a second name where it is the result of a module."""
    if p.name(node).endswith(node.name) or not isinstance(x, str):
        return x
    return p.emit("Identity", [x], p.name(node))


@translates("aten::view", "aten::reshape", "aten::_unsafe_view", "aten::flatten", "aten::unflatten",
            "aten::squeeze", "aten::unsqueeze", "aten::view_copy", "aten::squeeze_copy",
            "aten::unsqueeze_copy", "aten::_reshape_alias")  # fmt: skip
def reshape(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """Any reshape, by the shape that torch found; it keeps the batch axis."""
    old, new = p.sizes(node.args[0]), p.sizes(node)
    if old == new:
        return named(p, node, a["self"])
    if a["self"] not in p.fixed and (not new or new[0] != old[0]):
        raise p.error(
            node, f"turns {old} into {new}, which does not keep the batch axis",
            "keep axis 0 as it is (x.flatten(1), x.reshape(len(x), ...))",
        )  # fmt: skip
    return p.emit("Reshape", [a["self"], np.array(new, np.int64)], p.name(node))


@translates("aten::permute", "aten::transpose", "aten::t", "aten::permute_copy", "aten::transpose_copy",
            "aten::t_copy", "aten::swapaxes", "aten::movedim")  # fmt: skip
def permute(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A permutation of the axes."""
    rank = len(p.sizes(node.args[0]))
    order = list(range(rank))
    if "dims" in a:
        order = [int(d) % rank for d in a["dims"]]
    elif "source" in a:
        order = [
            int(v)
            for v in np.moveaxis(np.empty(tuple(range(2, rank + 2))), a["source"], a["destination"]).shape
        ]
        order = [v - 2 for v in order]
    else:
        first, second = (a["dim0"], a["dim1"]) if "dim0" in a else (0, rank - 1)
        order[first], order[second] = order[second], order[first]
    return p.emit("Transpose", [a["self"]], p.name(node), perm=tuple(order))


@translates("aten::slice", "aten::slice_copy")
def slice_(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """A range along one axis."""
    if p.sizes(node.args[0]) == p.sizes(node):
        return named(p, node, a["self"])
    start = 0 if a["start"] is None else int(a["start"])
    end = END if a["end"] is None else int(a["end"])
    return _slice(p, node, a["self"], int(a["dim"]), start, end, int(a["step"]), p.name(node))


def _slice(p: Program, node: Any, x: Any, dim: int, start: int, end: int, step: int, name: str) -> str:
    if dim % len(p.sizes(node.args[0])) == 0 and x not in p.fixed:
        raise p.error(node, "cuts the batch axis", "cut the other axes only")
    parts = [np.array([v], np.int64) for v in (start, end, dim, step)]
    return p.emit("Slice", [x, *parts], name)


@translates("aten::slice_scatter")
def slice_scatter(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """A range replaced: what lies before it, the new part, what lies behind."""
    shape = p.sizes(node)
    dim = int(a["dim"]) % len(shape)
    start, end, step = slice(a["start"], a["end"]).indices(shape[dim])[:2] + (int(a["step"]),)
    if step != 1:
        raise p.error(node, f"writes every {step}th element", "write whole ranges")
    parts = [(0, start, "before"), (end, shape[dim], "after")]
    before, after = (
        [_slice(p, node, a["self"], dim, i, j, 1, p.name(node, part))] if j > i else []
        for i, j, part in parts
    )
    pieces = [*before, a["src"], *after]
    return p.emit("Concat", pieces, p.name(node), axis=dim) if len(pieces) > 1 else named(p, node, a["src"])


@translates("aten::select", "aten::select_copy")
def select(p: Program, node: Any, a: dict[str, Any]) -> str:
    """One index of one axis, which goes away."""
    dim, index = int(a["dim"]) % len(p.sizes(node.args[0])), int(a["index"])
    end = END if index == -1 else index + 1
    part = _slice(p, node, a["self"], dim, index, end, 1, p.name(node, "part"))
    return p.emit("Reshape", [part, np.array(p.sizes(node), np.int64)], p.name(node))


@translates("aten::split", "aten::chunk", "aten::split_with_sizes", "aten::unbind", "aten::tensor_split")
def split(p: Program, node: Any, a: dict[str, Any]) -> tuple[str, ...]:
    """Parts along one axis."""
    dim, start, out = int(a["dim"]), 0, []
    rank = len(p.sizes(node.args[0]))
    for i, part in enumerate(node.meta["val"]):
        gone = part.ndim < rank
        size = 1 if gone else int(part.shape[dim])
        y = _slice(p, node, a["self"], dim, start, start + size, 1, p.name(node, str(i)))
        if gone:
            shape = (p.batch, *(int(n) for n in part.shape[1:]))
            y = p.emit("Reshape", [y, np.array(shape, np.int64)], p.name(node, f"{i}.item"))
        out.append(y)
        start += size
    return tuple(out)


@translates("aten::index_select")
def index_select(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Constant indices of one axis."""
    return p.emit("Gather", [a["self"], a["index"]], p.name(node), axis=int(a["dim"]))


@translates("aten::cat", "aten::concat", "aten::concatenate")
def cat(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Parts side by side."""
    return p.emit("Concat", list(a["tensors"]), p.name(node), axis=int(a["dim"]))


@translates("aten::stack")
def stack(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Parts side by side along a new axis."""
    shape = p.sizes(node)
    dim = int(a["dim"]) % len(shape)
    one = np.array([1 if i == dim else n for i, n in enumerate(shape)], np.int64)
    parts = [p.emit("Reshape", [x, one], p.name(node, str(i))) for i, x in enumerate(a["tensors"])]
    return p.emit("Concat", parts, p.name(node), axis=dim)


@translates("aten::constant_pad_nd", "aten::pad", "aten::reflection_pad1d", "aten::reflection_pad2d",
            "aten::replication_pad1d", "aten::replication_pad2d", "aten::zero_pad2d")  # fmt: skip
def pad(p: Program, node: Any, a: dict[str, Any]) -> str:
    """torch gives pads from the last axis on, (before, after) each."""
    x, name = a["self"], p.op(node)
    rank = len(p.sizes(node.args[0]))
    given = [int(v) for v in (a["pad"] if "pad" in a else a["padding"])]
    before, after = [0] * rank, [0] * rank
    for i in range(len(given) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = given[2 * i], given[2 * i + 1]
    mode = str(a.get("mode", "constant"))
    if "reflection" in name or mode == "reflect":
        mode = "reflect"
    elif "replication" in name or mode == "replicate":
        mode = "edge"
    elif mode == "circular":
        mode = "wrap"
    value = a.get("value")
    fill = np.float32(0 if value is None else value)
    if min(given) < 0:
        raise p.error(node, f"has negative pads {tuple(given)}", "crop with a slice")
    pads = np.array([*before, *after], np.int64)
    inputs = [x, pads, *([fill] if mode == "constant" else [])]
    return p.emit("Pad", inputs, p.name(node), mode=mode)
