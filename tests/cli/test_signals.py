"""Ctrl-C at every kind of work, two commands in one folder, and outputs that nobody reads."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fxsim.cli import Terminated, _signals, info, main
from fxsim.cli.console import Console
from fxsim.cli.output import draft_file, locked
from fxsim.data import digits_qdq, digits_samples

# A job started in the background of a shell ignores Ctrl-C; these must not, wherever the tests run.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from fxsim.cli import main; sys.exit(main())"
)


def start(*argv: str, cache: Path, folder: Path) -> subprocess.Popen[str]:
    """A command in a session of its own, so that its whole process group can be interrupted."""
    environment = dict(os.environ, FXSIM_CACHE=str(cache), TMPDIR=str(folder))
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env=environment,
    )  # fmt: skip


def living(group: int) -> list[str]:
    """Command names of the processes of a group that are not zombies, from /proc/PID/stat."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        state, _, its_group = rest.split()[:3]
        if int(its_group) == group and state != "Z":
            found.append(name)
    return found


@pytest.mark.parametrize(
    ("argv", "stage", "wait", "number"),
    [
        (["demo", "-o", "OUT"], "write Verilog", 0.1, signal.SIGINT),
        (["verify", "TINY"], "simulate", 0.3, signal.SIGINT),  # Verilator and g++, many at once
        (["hls", "TINY", "-o", "OUT"], "compile", 0.3, signal.SIGINT),  # g++
        (["verify", "TINY"], "simulate", 0.3, signal.SIGTERM),
        (["check", "DIGITS", "--samples", "20000"], "compare", 0.3, signal.SIGINT),  # while onnxruntime loads
        (["check", "DIGITS", "--samples", "20000"], "compare", 0.8, signal.SIGINT),
        (["profile", "DIGITS", "DATA", "--plot", "OUT.svg"], "profile", 0.3, signal.SIGINT),
        (["solve", "linear", "-o", "OUT.npz", "--plot", "OUT.svg"], "solve", 0.1, signal.SIGINT),  # draws
        (["report", "TINY"], "synthesise", 0.5, signal.SIGINT),
    ],
)
def test_interrupted(
    argv: list[str], stage: str, wait: float, number: signal.Signals, tiny: Path, tmp_path: Path
) -> None:
    out, cache, temporary = tmp_path / "out", tmp_path / "cache", tmp_path / "tmp"
    temporary.mkdir()
    data = tmp_path / "x.npy"
    np.save(data, np.tile(digits_samples()[0], (20, 1, 1, 1)))
    places = {"TINY": tiny, "OUT": out, "DIGITS": digits_qdq(), "DATA": data}
    argv = [re.sub("|".join(places), lambda found: str(places[found[0]]), a) for a in argv]
    process = start(*argv, cache=cache, folder=temporary)
    try:
        assert process.stderr is not None
        seen = ""
        while stage not in seen:
            seen = process.stderr.readline()
            assert seen, "the command ended early"
        time.sleep(wait)
        os.killpg(process.pid, number)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 128 + number, error
        assert error.splitlines()[-1] == ("interrupted" if number == signal.SIGINT else "terminated")
        assert "Traceback" not in error and "Warning" not in error
        assert living(process.pid) == []
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    # g++ itself forgets a file that a signal meets between its making and its note of it, and torch, which
    # hls4ml imports where it is installed, makes a cache folder, and onnxruntime notes its session.
    others = re.compile(r"cc\w{6}\.(s|o|ld|le)|torchinductor_\w+|\.ses")
    assert [p for p in temporary.iterdir() if not others.fullmatch(p.name)] == []
    left = [p.name for folder in (out, cache) for p in folder.rglob("*")]
    assert not [n for n in left if n.startswith((".", "draft")) or n.endswith(".tmp")]
    assert not (out / "hls").exists() and "stimulus.hex" not in left
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert not (tmp_path / "out.svg").exists()  # was to be written last


def test_the_next_run_succeeds(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with no chance to clean up: what is left is in nobody's way."""
    cache = tmp_path / "cache"
    process = start("hls", str(tiny), "-o", str(tmp_path / "out"), cache=cache, folder=tmp_path)
    assert process.stderr is not None
    while "compile" not in process.stderr.readline():
        pass
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    monkeypatch.setenv("FXSIM_CACHE", str(cache))
    assert main(["hls", str(tiny), "-o", str(tmp_path / "out"), "--samples", "3"]) == 0


def test_nobody_reads_the_output(tiny: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "fxsim.cli", "info", str(tiny)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_interrupted_where_nobody_reads_the_output(tiny: Path) -> None:
    """As Ctrl-C in a pipe, which stops the reader, too."""
    read, write = os.pipe()
    os.close(read)
    work = (
        "import sys; from fxsim.cli import info, main\n"
        "def execute(arguments, console): console.line('half'); raise KeyboardInterrupt\n"
        "info.execute = execute; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", work, "info", str(tiny)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": ""},
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_output_that_cannot_be_written(tiny: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fxsim.cli", "info", str(tiny)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


def test_no_output_at_all(tiny: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m fxsim.cli info "{tiny}" >&-'], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_writers_of_one_folder_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []
    waiting = threading.Event()

    class Told(Console):
        def note(self, text: str) -> None:
            super().note(text)
            waiting.set()

    def second() -> None:
        with locked(tmp_path, Told()):
            order.append("second")

    with locked(tmp_path, Console()):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert "another command is writing into" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_draft_replaces_its_target_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "w.vcd"
    target.write_text("old")

    def write_half() -> None:
        with draft_file(str(target)) as path:
            Path(str(path)).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "old"
    with draft_file(str(target)) as path:
        Path(str(path)).write_text("new")
    assert target.read_text() == "new"
    with pytest.raises(OSError, match="was not written"), draft_file(str(target)):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["w.vcd"]


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_swallowed_signal_is_raised_again(number: int, error: type[BaseException]) -> None:
    """As where compiled code calls back into Python and drops what is raised there."""
    # What the tests were started with may ignore Ctrl-C (nohup does), and the command line respects that.
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    console = Console()
    try:
        with pytest.raises(error), _signals(console), console.stage("work"), contextlib.suppress(error):
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(
    "error", [ImportError("initialization failed"), SystemError("no result"), OSError(32, "pipe")]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_out_as_another_error(
    number: signal.Signals, error: Exception, tiny: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As where a compiled module is being imported: what is told is the signal."""

    def execute(*_: object) -> bool:
        with contextlib.suppress(KeyboardInterrupt, Terminated):
            signal.raise_signal(number)
        raise error

    monkeypatch.setattr(info, "execute", execute)
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        for more in ([], ["--json"], ["--debug"]):
            assert main(["info", str(tiny), *more]) == 128 + number
            told = "interrupted" if number == signal.SIGINT else "terminated"
            assert capsys.readouterr() == ("", f"{told}\n")
    finally:
        signal.signal(number, before)
