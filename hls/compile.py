"""Graphs through g++: many functions in one shared library, cached by content, called on raw integers."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fxsim import cache
from fxsim.emulate.feed import batched
from fxsim.graph import Graph
from hls.crossing import call, entry
from hls.lower import Port, ports, source

INCLUDE = Path(__file__).parent / "include"
FLAGS = ("-std=c++11", "-fPIC", "-fno-gnu-unique", "-w", "-DAP_INT_MAX_W=32768")
PER_UNIT = 32
"""Most graphs per translation unit: they share template instances, and g++ its memory."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A graph as machine code of its C++: raw integers in, raw integers out, as Graph.run_raw."""

    graph: Graph
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    function: Any

    def __call__(self, *raw: Any) -> Any:
        arrays, single = batched(self.graph, raw)
        out = call(self.function, self.graph, arrays, self.inputs, self.outputs)
        out = [o[0] for o in out] if single else out
        return out[0] if len(out) == 1 else tuple(out)


def compile_graphs(graphs: Sequence[Graph], optimize: int = 0, types: str = "ap") -> list[Compiled]:
    """One callable per graph, all from one shared library built by g++ -O`optimize`.

    `types` are the integers that the functions compute with: "ap" (ap_int) or "ac" (ac_int). The library is
    kept in the cache folder under a digest of its sources, headers and compiler, so that a second call is a
    load. Raises FileNotFoundError without g++, RuntimeError where it refuses the code.
    """
    texts, found = [], []
    for k, g in enumerate(graphs):
        inputs, outputs = ports(g, f"graph_{k}")
        found.append((tuple(inputs), tuple(outputs)))
        scope = [f"namespace unit_{k} {{", source(g, f"graph_{k}").replace('#include "fx_ops.h"', ""), "}"]
        texts.append("\n".join([*scope, entry(f"run_{k}", f"unit_{k}::graph_{k}", inputs, outputs)]))
    library = ctypes.CDLL(str(shared_library(translation_units(texts), optimize, types)))
    return [
        Compiled(g, *found[k], getattr(library, f"run_{k}"))
        for k, g in enumerate(graphs)
    ]  # fmt: skip


def translation_units(texts: Sequence[str]) -> list[str]:
    """These functions as sources, one for each processor but none too large."""
    head = '#include "fx_ops.h"\n#include "fx_crossing.h"\n'
    step = max(1, min(PER_UNIT, -(-len(texts) // (os.cpu_count() or 1))))
    return [head + "\n".join(texts[i : i + step]) for i in range(0, len(texts), step)]


def shared_library(units: Sequence[str], optimize: int = 0, types: str = "ap") -> Path:
    """The shared library of these C++ sources, found in the cache or built there, whole or not at all."""
    flags = [*FLAGS, f"-O{optimize}"]
    key = cache.digest(compiler_version(), *flags, *headers(types).values(), *units)
    with cache.entry("cpp", key) as draft:
        if not draft.ready:
            _build(units, flags, draft.path, types)
        return draft.publish() / "graphs.so"


def headers(types: str) -> dict[str, str]:
    """{name: text} of the headers that generated code includes, over "ap" or "ac" integers."""
    return {
        p.name: p.read_text() for folder in (INCLUDE, INCLUDE / types) for p in sorted(folder.glob("*.h"))
    }


def _build(units: Sequence[str], flags: Sequence[str], folder: Path, types: str) -> None:
    """graphs.so of the sources, in `folder`."""

    def build(k: int) -> str:
        (folder / f"u{k}.cpp").write_text(units[k])
        include = [f"-I{INCLUDE}", f"-I{INCLUDE / types}", f"-isystem{vendor_types(types)}"]
        run_compiler(["g++", *flags, *include, "-c", f"u{k}.cpp", "-o", f"u{k}.o"], folder)
        return f"u{k}.o"

    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, max(len(units), 1))) as pool:
        objects = list(pool.map(build, range(len(units))))
    run_compiler(["g++", "-shared", *objects, "-o", "graphs.so"], folder)
    for name in objects:
        (folder / name).unlink()


def run_compiler(command: Sequence[str], folder: Path) -> None:
    """Run a build command in `folder`; RuntimeError with g++'s first messages if it fails.

    The command has a process group of its own, which is ended with whatever it started where the wait for it
    is interrupted: a shell that is killed alone would leave g++ running.
    """
    child = subprocess.Popen(
        command, cwd=folder, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        _, messages = child.communicate()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)  # on which g++ removes its temporary files
        child.communicate()
        raise
    if child.returncode:
        lines = [t for t in messages.splitlines() if "error" in t][:8] or messages.splitlines()[:8]
        raise RuntimeError("g++ failed on generated code:\n" + "\n".join(lines))


@lru_cache
def _version(program: str) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout


def compiler_version() -> str:
    """g++'s own version text; FileNotFoundError that says what to install where there is no g++."""
    program = shutil.which("g++")
    if program is None:
        raise FileNotFoundError(
            "the HLS C simulation needs g++ on the PATH; install it (Debian, Ubuntu: apt install g++)"
        )
    return _version(program)


def vendor_types(types: str = "ap") -> Path:
    """The folder of the ap_int and ap_fixed, or of the ac_int and ac_fixed headers, from the hls4ml wheel."""
    import importlib.util

    spec = importlib.util.find_spec("hls4ml")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "the HLS reading needs hls4ml, whose wheel has the ap_fixed headers; pip install 'fxsim-hdl[hls]'"
        )
    templates = Path(spec.submodule_search_locations[0]) / "templates"
    return templates / {"ap": "vivado/ap_types", "ac": "quartus/ac_types"}[types]
