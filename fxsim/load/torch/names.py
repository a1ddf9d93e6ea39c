"""Names of tensors that a user knows: the path of the module whose result they are."""

from __future__ import annotations

from typing import Any

PROXIES = "brevitas.proxy."
KEPT = ("input_quant",)
"""Quantizer proxies whose result is not the result of their layer."""


def names(program: Any) -> dict[Any, str]:
    """{fx node: unique name} of an ExportedProgram's inputs and calls.

    The last node of a module's call has the module's path ("features.0.act"; "act@1" the second time that it
    is called), an input its own name, any other node the path and its op ("features.0.conv2d"), outside of
    all modules its own name.
    """
    user = set(program.graph_signature.user_inputs)
    calls = [n for n in program.graph.nodes if n.op == "call_function"]
    inputs = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in user]
    stacks = {n: stack(n) for n in calls}
    last: dict[tuple[str, ...], Any] = {}
    for n, s in stacks.items():
        for depth in range(1, len(s) + 1):
            last[s[:depth]] = n
    results = {n: s[-1] for n, s in stacks.items() if s and last[s] is n}
    rest = {n: f"{s[-1]}.{short(n)}" if s else n.name for n, s in stacks.items() if n not in results}
    out: dict[Any, str] = {}
    used: set[str] = set()
    # Paths of modules come first: they are what a user looks for.
    for n, name in (*results.items(), *((n, n.name) for n in inputs), *rest.items()):
        unique, k = name, 1
        while unique in used:
            k += 1
            unique = f"{name}_{k}"
        used.add(unique)
        out[n] = unique
    return out


def short(node: Any) -> str:
    """The op of a node without namespace and overload."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.partition("::")[2].strip("_") if schema is not None else str(node.name)


def stack(node: Any) -> tuple[str, ...]:
    """The paths of the module calls around a node, outermost first, without the root.

    The inside of a Brevitas layer's quantizer counts as the layer.
    """
    found: list[str] = []
    for key, value in (node.meta.get("nn_module_stack") or {}).items():
        path, kind = (value[0], str(value[1])) if isinstance(value, tuple) else (str(value), "")
        path = str(path).replace("L['self'].", "").replace("L['self']", "")
        if not path or path.startswith("_empty_nn_module_stack"):
            continue
        name = path.rpartition(".")[2]
        if name in QUANTIZERS and found:
            if name in KEPT:
                found.append(path + call(key))
            break
        found.append(path + call(key))
        if kind.startswith(PROXIES):
            break
    return tuple(found)


QUANTIZERS = ("act_quant", "input_quant", "output_quant", "trunc_quant", "weight_quant", "bias_quant")


def call(key: Any) -> str:
    """ "@1" of a module's second call, "" of its first."""
    _, at, count = str(key).rpartition("@")
    return f"@{count}" if at and count.isdigit() else ""


def module_path(node: Any) -> str:
    """The path of the innermost module around a node, for messages."""
    s = stack(node)
    return s[-1] if s else ""
