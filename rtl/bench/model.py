"""Compile a core once for both benches: objects, a shared library, and a simulator for cocotb."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fxsim import cache
from rtl.bench import recording, tools
from rtl.layout import Layout

STREAM_PORTS = ("i__payload", "i__valid", "i__ready", "o__payload", "o__valid", "o__ready")
"""Ports that a core must have; `clk` and `rst` may be missing where it has no register."""

HARNESS = "fxsim_harness"
"""Top module put around a core that has no clock or no reset port."""

_HERE = Path(__file__).parent

_VERILATOR_FLAGS = (
    "-O3",
    # quadratic in the number of registers: 91 s against 5 s on a 64 x 64 product, for code of the same size
    "-fno-merge-cond-motion",
    "--x-assign", "fast", "--x-initial", "fast", "--noassert",
    # Amaranth's Verilog is full of width warnings; lint is not the business of a simulation
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "--quiet",
    # g++ is superlinear in the size of a function and of a file
    "--output-split", "20000", "--output-split-cfuncs", "3000",
    "--timescale", "1ns/1ps",
)  # fmt: skip

_COMPILE_FLAGS = (
    "-std=gnu++17",
    "-fPIC",
    "-w",
    "-DVM_COVERAGE=0",
    "-DVM_SC=0",
    "-DVM_TIMING=0",
    "-DVERILATOR=1",
)
# -O2 runs 1.4 times as fast as -O1 and compiles 1.15 times as long; -O3 -march=native gained nothing more.
_FAST, _SLOW = "-O2", "-O0"

_RUNTIME = {
    "core": ("verilated.cpp", "verilated_threads.cpp"),
    "vpi": ("verilated_vpi.cpp", "verilated_dpi.cpp"),
    "vcd": ("verilated_vcd_c.cpp",),
    "fst": ("verilated_fst_c.cpp",),  # includes the writer, fstcpp/*.cpp
}
# Bytes of C++ compiled as one file: every further file costs 0.6 s for the headers alone.
_UNITY = {_FAST: 1 << 18, _SLOW: 1 << 20}


@dataclass(frozen=True)
class Model:
    """A compiled core: `library` for ctypes, `simulator` for cocotb if asked for, the width of every port."""

    top: str
    folder: Path
    ports: dict[str, int]
    simulator: Path | None = None

    @property
    def library(self) -> Path:
        return self.folder / "core.so"

    def check_widths(self, in_layout: Layout, out_layout: Layout) -> None:
        """ValueError unless i__payload and o__payload are as wide as their layouts."""
        for name, layout in (("i__payload", in_layout), ("o__payload", out_layout)):
            if self.ports[name] != layout.bits:
                raise ValueError(
                    f"{name} of module {self.top!r} must have the layout's {layout.bits} bits, "
                    f"not {self.ports[name]}"
                )


def build(verilog: str, top: str, *, bench: bool = False, waves: str = "") -> Model:
    """Compile module `top` of `verilog`, or find it in the cache.

    bench: also link the cocotb simulator. waves: "", "vcd" or "fst", for the simulator alone.
    Raises ValueError if a stream port is missing, FileNotFoundError for a missing tool, and RuntimeError with
    the tool's words if Verilator or the compiler refuses, or if the headers that FST needs are not there.
    """
    if waves not in ("", "vcd", "fst"):
        raise ValueError(f"waves must be '', 'vcd' or 'fst', not {waves!r}")
    verilog, top = _harness(verilog, top)
    verilator, compiler = tools.verilator(), tools.compiler()
    flags = _compile_flags(compiler)
    if waves == "fst" and (missing := tools.fst_missing()):
        raise RuntimeError(
            f"FST waves need the headers {' and '.join(missing)}: get them with "
            "`apt install liblz4-dev zlib1g-dev`, or name a .vcd file instead"
        )
    same = (verilator.version, tools.compiler_version(compiler), flags)
    kinds = ["core", *(["vpi"] if bench else []), *([waves] if waves else [])]
    native = (_HERE / "native.cpp").read_text()
    key = cache.digest(*same, _VERILATOR_FLAGS, _FAST, _SLOW, _UNITY, native, verilog, top, waves)

    with contextlib.ExitStack() as stack:
        runtime = {k: stack.enter_context(cache.entry(f"verilated-{k}", cache.digest(*same))) for k in kinds}
        model = stack.enter_context(cache.entry("model", key))
        simulator = None
        if bench:
            simulator = stack.enter_context(cache.entry("simulator", cache.digest(key, *_cocotb())))

        # All that is missing compiles side by side, the largest first, so that the small ones fill the gaps.
        start = [*tools.compile_command(), *flags]
        jobs: list[_Job] = []
        for kind, draft in runtime.items():
            if not draft.ready:
                jobs += _runtime_jobs(kind, verilator, draft.path, start)
        if not model.ready:
            _verilate(verilog, top, waves, verilator, model.path)
            jobs += _model_jobs(model.path, verilator, start)
        if simulator and not simulator.ready:
            jobs.append(_main_job(model.path, simulator.path, waves, verilator, start))
        jobs.sort(key=lambda job: -job.size)
        tools.run_all([(f"compiling {job.name}", job.command) for job in jobs])

        objects = {kind: _objects(draft.publish()) for kind, draft in runtime.items()}
        if not model.ready:
            library = [path for kind in kinds if kind != "vpi" for path in objects[kind]]
            _link(compiler, ["-shared", *_objects(model.path), *library], model.path / "core.so", waves)
            for path in model.path.iterdir():
                if path.suffix not in (".v", ".h", ".o", ".so", ".json"):
                    path.unlink()
        folder = model.publish()
        program = None
        if simulator:
            if not simulator.ready:
                inputs = [
                    *_objects(simulator.path),
                    *_objects(folder),
                    *(p for k in kinds for p in objects[k]),
                ]
                shared = _cocotb()[1]
                inputs += [f"-L{shared}", f"-Wl,-rpath,{shared}", "-lcocotbvpi_verilator"]
                _link(compiler, inputs, simulator.path / top, waves)
            program = simulator.publish() / top
    ports = json.loads((folder / "ports.json").read_text())
    return Model(top, folder, ports, program)


def _compile_flags(compiler: str) -> tuple[str, ...]:
    # Several libraries of this kind live in one process: no symbol of one may answer for another.
    unique = () if "clang" in tools.compiler_version(compiler) else ("-fno-gnu-unique",)
    return (*_COMPILE_FLAGS, *unique)


def _cocotb() -> tuple[str, str]:
    """Version of cocotb and the folder of its simulator libraries."""
    try:
        import cocotb
        import cocotb_tools.config
    except ImportError as error:
        raise ImportError("cocotb is missing: get it with `pip install cocotb`") from error
    return str(cocotb.__version__), str(cocotb_tools.config.libs_dir)


# ---- Verilog in ----


def _head(verilog: str, top: str) -> re.Match[str] | None:
    return re.search(
        rf"\bmodule\s+\\?{re.escape(top)}\s*(?:#\s*\(.*?\)\s*)?\((.*?)\)\s*;", verilog, re.DOTALL
    )


def _ports(verilog: str, top: str) -> list[str]:
    """The words between the parentheses of a module's head, names of its ports among them."""
    match = _head(verilog, top)
    return re.findall(r"\w+", match[1]) if match else []


def _harness(verilog: str, top: str) -> tuple[str, str]:
    """Check the ports of `top`; where clock or reset are missing, put a module that has them around it."""
    match = _head(verilog, top)
    if match is None:
        raise ValueError(f"verilog must hold a module {top!r} with ports")
    names = set(re.findall(r"\w+", match[1]))
    missing = [port for port in STREAM_PORTS if port not in names]
    if missing:
        raise ValueError(
            f"module {top!r} must have the ports {', '.join(STREAM_PORTS)}; missing: {', '.join(missing)}"
        )
    if {"clk", "rst"} <= names:
        return verilog, top
    body = verilog[match.end() :].split("endmodule")[0]
    rows = []
    for port in STREAM_PORTS:
        found = re.search(
            rf"\b(input|output)\b\s*(?:wire|reg|logic)?\s*(\[[^\]]*\])?\s*{port}\b", match[1] + ";" + body
        )
        if found is None:
            raise ValueError(f"the direction of port {port!r} of module {top!r} must be declared")
        rows.append(f"{found[1]} wire {found[2] or ''} {port}")
    inner = [*STREAM_PORTS, *(port for port in ("clk", "rst") if port in names)]
    ports = ", ".join(f".{port}({port})" for port in inner)
    head = f"module {HARNESS}(input wire clk, input wire rst, {', '.join(rows)});"
    return f"{verilog}\n{head}\n  {top} core({ports});\nendmodule\n", HARNESS


def _verilate(verilog: str, top: str, waves: str, verilator: tools.Verilator, folder: Path) -> None:
    """Write C++ and ports.json into `folder`; only ports are open to VPI, all else is optimised freely."""
    ports = ("clk", "rst", *STREAM_PORTS, *recording.probe_ports(_ports(verilog, top)))
    (folder / "core.v").write_text(verilog)
    (folder / "ports.vlt").write_text(
        "`verilator_config\n" + "".join(f'public_flat_rw -module "{top}" -var "{port}"\n' for port in ports)
    )
    trace = {"": [], "vcd": ["--trace-vcd"], "fst": ["--trace-fst"]}[waves]
    command = verilator.command(
        "--cc", "core.v", "ports.vlt", "--vpi", "--top-module", top, "--prefix", "Vtop", "-Mdir", ".",
        *_VERILATOR_FLAGS, *trace,
    )  # fmt: skip
    tools.run(command, what=f"Verilator on module {top!r}", cwd=folder, env=verilator.environment)
    found = re.findall(r"VL_(?:IN|OUT)\w*\(&(\w+),(\d+),(\d+)", (folder / "Vtop.h").read_text())
    names = [name.replace("___05F", "__") for name, *_ in found]
    (folder / "probes.h").write_text(recording.header(names))
    widths = {name.replace("___05F", "__"): int(high) - int(low) + 1 for name, high, low in found}
    (folder / "ports.json").write_text(json.dumps(widths, indent=1, sort_keys=True))


# ---- C++ to objects ----


@dataclass(frozen=True)
class _Job:
    """One compiler run and the bytes of source it reads."""

    command: list[str]
    name: str
    size: int


def _job(
    start: Sequence[str], options: Sequence[str], source: Path, output: Path, parts: Sequence[Path] = ()
) -> _Job:
    command = [*start, *options, "-c", str(source), "-o", str(output)]
    return _Job(command, source.name, sum(path.stat().st_size for path in parts or [source]))


def _includes(verilator: tools.Verilator, *folders: Path) -> list[str]:
    return [f"-I{path}" for path in (*folders, verilator.include, verilator.include / "vltstd")]


def _runtime_jobs(kind: str, verilator: tools.Verilator, folder: Path, start: Sequence[str]) -> list[_Job]:
    # cocotb's library resolves the VPI functions against the program, so those alone stay visible
    options = ["-O2" if kind == "vpi" else _FAST, *([] if kind == "vpi" else ["-fvisibility=hidden"])]
    return [
        _job(
            start,
            [*options, *_includes(verilator)],
            verilator.include / name,
            folder / f"{Path(name).stem}.o",
        )
        for name in _RUNTIME[kind]
    ]


def _model_jobs(folder: Path, verilator: tools.Verilator, start: Sequence[str]) -> list[_Job]:
    """Code that runs every cycle at one optimisation, code that runs once at another, small files joined."""
    options = [*_includes(verilator, folder), "-fvisibility=hidden"]
    shutil.copy(_HERE / "native.cpp", folder / "native.cpp")
    files = sorted(folder.glob("*.cpp"))
    slow = [path for path in files if "__Slow" in path.name]
    if sum(path.stat().st_size for path in files) <= _UNITY[_FAST]:
        slow = []
    jobs = []
    for level, members in ((_FAST, [path for path in files if path not in slow]), (_SLOW, slow)):
        for number, group in enumerate(_groups(members, _UNITY[level])):
            unit = folder / f"unit{level}-{number}.cc"
            unit.write_text("".join(f'#include "{path.name}"\n' for path in group))
            jobs.append(_job(start, [level, *options], unit, unit.with_suffix(".o"), group))
    return jobs


def _groups(paths: Sequence[Path], room: int) -> list[list[Path]]:
    """Cut `paths`, smallest first, into runs of at most `room` bytes; a larger file stands alone."""
    groups: list[list[Path]] = []
    left = 0
    for path in sorted(paths, key=lambda path: (path.stat().st_size, path.name)):
        size = path.stat().st_size
        if not groups or size > left:
            groups.append([])
            left = room
        groups[-1].append(path)
        left -= size
    return groups


def _main_job(
    model: Path, folder: Path, waves: str, verilator: tools.Verilator, start: Sequence[str]
) -> _Job:
    import cocotb_tools.config

    source = Path(cocotb_tools.config.share_dir) / "lib" / "verilator" / "verilator.cpp"
    trace = {"": ["-DVM_TRACE=0"], "vcd": ["-DVM_TRACE=1"], "fst": ["-DVM_TRACE=1", "-DVM_TRACE_FST=1"]}[
        waves
    ]
    return _job(start, [_FAST, *trace, *_includes(verilator, model)], source, folder / "main.o")


def _objects(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.o"))]


def _link(compiler: str, inputs: Sequence[str], output: Path, waves: str) -> None:
    libraries = ["-llz4", "-lz"] if waves == "fst" else []
    command = [compiler, "-s", *inputs, "-o", str(output), *libraries, "-lpthread"]
    tools.run(command, what=f"linking {output.name}")
