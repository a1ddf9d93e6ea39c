"""Each reading as a function of raw inputs, compared with the NumPy table; and cases kept in files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim import Graph
from fxsim.emulate import evaluate
from fxsim.files import atomic_path
from fxsim.integers import Array, exact, to_object
from fxsim.serialize import load, save

SAVED = Path(__file__).parent / "saved"

Reading = Callable[[Graph, list[Array]], list[Array]]


def reference(graph: Graph, raw: list[Array]) -> list[Array]:
    """The NumPy table, one exact rule per value; every value is checked against its type on the way."""
    env = evaluate(graph, raw)
    for i, v in enumerate(graph.values):
        bad = np.argwhere(~v.type.contains(env[v]))
        assert not len(bad), f"%{i} leaves its type {v.type!r} at {bad[0]}: {env[v][tuple(bad[0])]}\n{graph}"
    return [np.broadcast_to(env[o], (len(raw[0]), *o.type.shape)) for o in graph.outputs]


def emulator(graph: Graph, raw: list[Array]) -> list[Array]:
    out = graph.run_raw(*raw)
    return list(out) if isinstance(out, tuple) else [out]


def amaranth(graph: Graph, raw: list[Array]) -> list[Array]:
    """Amaranth's simulator, with and without registers by turns (as the graph's name falls)."""
    from rtl.core import Core
    from rtl.pysim import simulate

    depth = (None, 1, 2, 4)[sum(graph.name.encode()) % 4]
    return simulate(Core(graph, depth), raw).outputs


def compiled(graphs: Sequence[Graph]) -> list[Callable[..., Any]]:
    """The C++ of all graphs in one shared library."""
    from hls import compile_graphs

    return list(compile_graphs(graphs))


def called(function: Callable[..., Any], graph: Graph, raw: list[Array]) -> list[Array]:
    out = function(*raw)
    return list(out) if isinstance(out, tuple) else [out]


def cpp(graph: Graph, raw: list[Array]) -> list[Array]:
    return called(compiled([graph])[0], graph, raw)


def verilator(graph: Graph, raw: list[Array]) -> list[Array]:
    """The Verilog in the native Verilator bench, both streams pausing."""
    from rtl.bench.native import build
    from rtl.core import Core

    core = Core(graph, 3)
    native = build(core.verilog(), core.top, core.in_layout, core.out_layout)
    return native.run(raw, idle=0.2, backpressure=0.2, seed=1).outputs


def specification(graph: Graph, raw: list[Array]) -> list[Array]:
    """The z3 specification, simplified at the points of `raw`."""
    from fxsim import smt

    z = smt.Bits()
    spec = smt.specification(graph, z)
    variables = [(x, i, at) for i, terms in enumerate(spec.inputs) for at, x in np.ndenumerate(terms)]
    variables = [v for v in variables if isinstance(v[0], smt.Word)]
    out = [np.empty((len(raw[0]), *o.type.shape), object) for o in graph.outputs]
    for k in range(len(raw[0])):
        values = [(x.bits, z.z3.BitVecVal(int(raw[i][(k, *at)]), x.width)) for x, i, at in variables]
        for terms, result in zip(spec.outputs, out, strict=True):
            for at, term in np.ndenumerate(terms):
                if isinstance(term, smt.Word):
                    term = z.z3.simplify(z.z3.substitute(term.bits, *values)).as_signed_long()
                result[(k, *at)] = term
    return [exact(o) for o in out]


def disagreement(graph: Graph, expected: list[Array], got: list[Array]) -> str:
    """The first difference in words, or nothing."""
    assert len(expected) == len(got) == len(graph.outputs)
    for name, want, have in zip(graph.output_names, expected, got, strict=True):
        if np.shape(have) != want.shape:
            return f"{graph.name}: output {name} has shape {np.shape(have)}, not {want.shape}"
        bad = np.argwhere(np.asarray(to_object(want) != to_object(have), bool))
        if len(bad):
            at = tuple(int(i) for i in bad[0])
            return f"{graph.name}: output {name} is {have[at]}, not {want[at]}, at {at}"
    return ""


def keep(graph: Graph, raw: list[Array]) -> Path:
    """Save a graph and its stimulus among the cases that test_saved.py replays; returns the graph's file."""
    SAVED.mkdir(exist_ok=True)
    path = SAVED / f"{graph.name}_{hashlib.sha256(graph.digest().encode()).hexdigest()[:8]}.fxs"
    save(graph, path)
    # Python integers beyond 64 bits go as text, so that reading needs no pickle.
    arrays = {f"raw{i}": r.astype("U") if r.dtype == object else r for i, r in enumerate(raw)}
    with atomic_path(path.with_suffix(".npz")) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def kept(path: Path) -> tuple[Graph, list[Array]]:
    """A saved case: the graph of path and the stimulus beside it."""
    graph = load(path)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
        raw = [data[f"raw{i}"] for i in range(len(graph.inputs))]
    return graph, [integers(r) for r in raw]


def integers(a: Array) -> Array:
    if a.dtype.kind != "U":
        return exact(a)
    out = np.empty(a.shape, object)
    out.ravel()[:] = [int(v) for v in a.ravel()]
    return exact(out)


def _label(reading: Reading) -> str:
    return getattr(reading, "__name__", "cpp")


def check(graph: Graph, raw: list[Array], reading: Reading) -> None:
    """Assert that a reading gives the table's integers; a case that fails is kept in a file first."""
    expected = reference(graph, raw)
    try:
        found = disagreement(graph, expected, reading(graph, raw))
    except Exception as error:
        keep(graph, raw)
        error.add_note(f"reading {_label(reading)} of\n{graph}")
        raise
    if found:
        path = keep(graph, raw)
        raise AssertionError(f"reading {_label(reading)}: {found}\nsaved as {path.name}\n{graph}")
