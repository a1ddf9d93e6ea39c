"""The C++ header of one graph: a function from arrays of raw codes to arrays of raw codes."""

from __future__ import annotations

from dataclasses import dataclass

from fxsim.graph import Graph, Node
from fxsim.types import TensorType
from hls.lower.code import Code, Elements, Function
from hls.lower.table import cpp_rules


@dataclass(frozen=True)
class Port:
    """An argument of the function: an array of `size` codes (at least 1, as C++ demands), row-major."""

    name: str
    code: Code
    type: TensorType

    @property
    def size(self) -> int:
        return max(self.type.size, 1)

    def declaration(self, constant: bool) -> str:
        return f"{'const ' if constant else ''}{self.code} {self.name}[{self.size}]"


def source(graph: Graph, name: str) -> str:
    """Header text of `void name(const in_t x[..], .., out_t y[..], ..)` over raw codes, inputs first.

    Each array holds the codes of one tensor in the narrowest ap_int or ap_uint that holds them all; nothing
    is lost but in casts. Needs fx_ops.h beside it, and fx_integers.h over ap_int or ac_int. ValueError where
    `name` is no C++ identifier.
    """
    function, inputs, outputs = _lowered(graph, name)
    arguments = [p.declaration(True) for p in inputs] + [p.declaration(False) for p in outputs]
    guard = f"{name.upper()}_H_"
    lines = [
        f"// Generated from graph {graph.name} ({len(graph.values)} values).",
        "// Codes are raw integers: value = raw / 2**frac.",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        '#include "fx_ops.h"',
        "",
        *(f"// {k} {p.name}: {p.type}" for k, ps in (("in", inputs), ("out", outputs)) for p in ps),
        f"inline void {name}({', '.join(arguments)}) {{",
        "#pragma HLS PIPELINE II=1",
        *(t if t.startswith("#") else "    " + t for t in function.constants + function.body),
        "}",
        "",
        "#endif",
        "",
    ]
    return "\n".join(lines)


def ports(graph: Graph, name: str) -> tuple[list[Port], list[Port]]:
    """The inputs and outputs of `source(graph, name)`, in the order of its arguments."""
    _, inputs, outputs = _lowered(graph, name)
    return inputs, outputs


def _lowered(graph: Graph, name: str) -> tuple[Function, list[Port], list[Port]]:
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"name must be a C++ identifier, not {name!r}")
    f = Function(graph)
    f.taken.add(name)
    operands = [f.input(i) for i in graph.inputs]
    inputs = [Port(e.array, e.code, i.type) for e, i in zip(operands, graph.inputs, strict=True)]
    outputs = [
        Port(f.name(n), Code.of(o.type), o.type)
        for n, o in zip(graph.output_names, graph.outputs, strict=True)
    ]
    env = cpp_rules.fold(graph, operands, f)
    for port, node in zip(outputs, graph.outputs, strict=True):
        _write(f, port, node, env[node])
    return f, inputs, outputs


def _write(f: Function, port: Port, node: Node, e: Elements) -> None:
    if port.type.size:
        f.loop({"i": port.type.size}, f"{port.name}[i] = {f.read(e)};")
    else:
        f.line(f"{port.name}[0] = 0;")
