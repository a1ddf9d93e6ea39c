"""The table of handlers: which function reads which op of which domain, and what to suggest for any other."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fxsim.load.model import DEFAULT_DOMAIN, LINEAR_DOMAINS, QUANT_DOMAINS, FileNode

if TYPE_CHECKING:
    from fxsim.load.affine import Symbol
    from fxsim.load.loader import Loader

Handler = Callable[["Loader", FileNode, "list[Symbol | None]"], "Symbol | tuple[Symbol, ...]"]

HANDLERS: dict[str, Handler] = {}
"""By op for the standard domain, by "family:op" for any other."""

HOST: dict[str, Handler] = {}
"""Handlers of nodes whose first data operand is the real input before its quantizer, by the same keys."""

FAMILIES = {
    **dict.fromkeys(DEFAULT_DOMAIN, ""),
    **dict.fromkeys(QUANT_DOMAINS, "qonnx"),
    "qonnx.custom_op.channels_last": "channels_last",
}
"""Domains whose ops mean the same; a domain that is not here is a family of its own."""

# Ops of onnxruntime that mean what the standard ones do.
LINEAR_OPS = frozenset({"QuantizeLinear", "DequantizeLinear"})

HINTS = {
    "If": "it holds graphs of its own: export the model with the condition fixed",
    "Loop": "it holds a graph of its own: export the model unrolled",
    "Scan": "it holds a graph of its own: export the model unrolled",
    "LSTM": "a recurrence is a fxsim.Machine: export the step, without the loop",
    "GRU": "a recurrence is a fxsim.Machine: export the step, without the loop",
    "RNN": "a recurrence is a fxsim.Machine: export the step, without the loop",
    **dict.fromkeys(
        ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat"),
        "it computes its scale from each input: quantize the model statically, with calibration data",
    ),
    "Einsum": "write it as MatMul, Transpose and Reshape",
    "NonMaxSuppression": "cut the model before it and let the host do it",
    "GenericPartition": "it refers to another file: load the model that FINN was given before partitioning",
}
"""What to do about ops that are known and not read."""


def key(domain: str, op: str) -> str:
    """The table's key of an op."""
    family = FAMILIES.get(domain, domain)
    return f"{family}:{op}" if family else op


def handles(*names: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Decorator: the handler of these ops, handler(loader, node, operands) -> Symbol; none is replaced.

    `domain` is a domain of the file, or a family of them ("qonnx", "channels_last"). A node of several
    outputs gives a tuple of Symbols.
    """

    def add(fn: Handler) -> Handler:
        for name in names:
            if key(domain, name) in HANDLERS:
                raise ValueError(f"op {name!r} already has a handler")
            HANDLERS[key(domain, name)] = fn
        return fn

    return add


def on_host(*names: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Decorator: the handler of these ops on the real input, before its first quantizer."""

    def add(fn: Handler) -> Handler:
        HOST.update({key(domain, name): fn for name in names})
        return fn

    return add


def find(node: FileNode, real: bool = False) -> Handler | None:
    """The handler of a node, or None; `real` says that an operand is the real input."""
    if real and key(node.domain, node.op) in HOST:
        return HOST[key(node.domain, node.op)]
    found = HANDLERS.get(key(node.domain, node.op))
    if found is None and node.domain in LINEAR_DOMAINS and node.op in LINEAR_OPS:
        return HANDLERS.get(node.op)
    return found


def supported() -> tuple[str, ...]:
    """The ops of ONNX files with a handler, sorted; any standard op on constants is folded besides."""
    families = {f"{v}:" for v in FAMILIES.values() if v} | {"com.microsoft:"}
    names = (k.partition(":")[2] if ":" in k else k for k in HANDLERS if ":" not in k or _in(k, families))
    return tuple(sorted(set(names)))


def _in(k: str, prefixes: Iterable[str]) -> bool:
    return any(k.startswith(p) for p in prefixes)


def unknown(node: FileNode) -> NotImplementedError:
    """The error for a node without a handler: the ops that come nearest, all ops, and what to do."""
    ops = supported()
    near = difflib.get_close_matches(node.op, ops, 3, 0.6)
    standard = node.domain in DEFAULT_DOMAIN
    if not standard and node.op in ops:
        advice = f"{node.op} is known in another domain: correct the node's domain"
    elif node.domain.startswith("finn.custom_op.fpgadataflow"):
        advice = "it is one of FINN's hardware layers: load the model as it was before their conversion"
    elif node.op in HINTS:
        advice = HINTS[node.op]
    elif near:
        advice = f"nearest are {', '.join(near)}"
    else:
        advice = "nothing supported is named like it"
    return NotImplementedError(
        f"{node} of domain {node.domain or 'ai.onnx'!r} has no handler; {advice}; supported are "
        f"{', '.join(ops)}, and any standard op on constants. Rewrite the model without it, or write one: "
        f"@handles({node.op!r}{'' if standard else f', domain={node.domain!r}'}) from fxsim.load.loader"
    )
