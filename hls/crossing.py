"""Raw codes across the C boundary: int64 where a lane fits 63 bits, 32-bit limbs beyond."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.emulate.feed import check_raw
from fxsim.emulate.table import is_wide
from fxsim.graph import Graph
from fxsim.integers import Array, to_object
from hls.lower import Port

INT64_BITS = 63


def limbs(port: Port) -> int:
    """32-bit limbs of a lane; 0 for a lane that crosses as one int64."""
    width = port.code.width + (not port.code.signed)
    return 0 if width <= INT64_BITS else -(-width // 32)


def to_c(raw: Array, port: Port) -> Array:
    """Codes (batch, *shape) as the contiguous buffer that the C side reads."""
    n, flat = limbs(port), raw.reshape(len(raw), port.type.size)
    if flat.shape[1] != port.size:
        flat = np.zeros((len(raw), port.size), np.int64)
    if n == 0:
        return np.ascontiguousarray(flat, np.int64)
    whole = to_object(flat)[..., None] >> to_object(np.arange(n) * 32)
    return np.ascontiguousarray((whole & 0xFFFFFFFF).astype(np.uint32))


def buffer(batch: int, port: Port) -> Array:
    """An empty buffer for the C side to fill."""
    n = limbs(port)
    return np.empty((batch, port.size), np.int64) if n == 0 else np.empty((batch, port.size, n), np.uint32)


def from_c(data: Array, port: Port) -> Array:
    """Codes (batch, *shape) from a filled buffer: int64, or Python integers where the type needs them."""
    n = limbs(port)
    if n:
        whole = (data.astype(object) << to_object(np.arange(n) * 32)).sum(axis=-1)
        top = 1 << (32 * n)
        data = np.where(whole >= top >> 1, whole - top, whole)
    codes = data[:, : port.type.size].reshape(len(data), *port.type.shape)
    return to_object(codes) if is_wide(port.type) else codes.astype(np.int64)


def call(
    function: Any, graph: Graph, arrays: Sequence[Array], inputs: Sequence[Port], outputs: Sequence[Port]
) -> list[Array]:
    """One C call `function(in, out, batch)` on raw inputs with a batch axis; codes of every output."""
    raw = [check_raw(a, node) for a, node in zip(arrays, graph.inputs, strict=True)]
    batch = len(raw[0]) if raw else 1
    sources = [to_c(r, p) for r, p in zip(raw, inputs, strict=True)]
    targets = [buffer(batch, p) for p in outputs]
    function.restype = None
    function(pointers(sources), pointers(targets), ctypes.c_long(batch))
    return [from_c(t, p) for t, p in zip(targets, outputs, strict=True)]


def pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * max(len(arrays), 1))(*(a.ctypes.data for a in arrays))


def entry(name: str, call: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """C++ of `name(in, out, batch)`: each sample crosses into arrays, through `call`, and back."""
    lines = [f'extern "C" void {name}(const void *const *in, void *const *out, long batch) {{']
    lines += arrays("x", inputs) + arrays("y", outputs)
    lines.append("    for (long s = 0; s < batch; s++) {")
    for k, p in enumerate(inputs):
        lines += moved("load", p, f"x{k}", f"in[{k}]", "s", 8)
    lines.append(f"        {call}({arguments(inputs, outputs)});")
    for k, p in enumerate(outputs):
        lines += moved("store", p, f"y{k}", f"out[{k}]", "s", 8)
    return "\n".join([*lines, "    }", "}", ""])


def arrays(letter: str, ports: Sequence[Port]) -> list[str]:
    """Static arrays of the ports: not by their own names, which may be those of the loops here."""
    return [f"    static {p.code} {letter}{k}[{p.size}]; // {p.name}" for k, p in enumerate(ports)]


def arguments(inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """What `arrays` calls the arguments of a function, inputs first."""
    return ", ".join([f"x{k}" for k in range(len(inputs))] + [f"y{k}" for k in range(len(outputs))])


def moved(kind: str, port: Port, array: str, side: str, at: str, indent: int) -> list[str]:
    """The loop that loads or stores sample `at` of a port."""
    head = " " * indent
    return [
        f"{head}for (long i = 0; i < {port.size}; i++)",
        f"{head}    fx::crossing<{limbs(port)}>::{kind}({array}[i], {side}, {at} * {port.size} + i);",
    ]
