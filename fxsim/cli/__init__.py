"""The command line: one subcommand a file, errors as one line, `--json` for data."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from fxsim.cli import check, demo, hls, info, profile, report, run, solve, verify, verilog
from fxsim.cli.console import Console

COMMANDS = (demo, info, check, profile, run, verilog, verify, report, hls, solve)

EXIT_OK, EXIT_MISMATCH, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CLOSED = 141
"""What a shell reports of a program that SIGPIPE ended: nobody reads the output any more."""

TOLD = (
    ValueError, TypeError, LookupError, ArithmeticError, OSError, ImportError, RuntimeError, MemoryError
)  # fmt: skip
"""Errors that are one line for the user; any other is a fault of ours and shows its traceback."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception, so that they clean up as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        self.number = number


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from fxsim import __version__

    top = argparse.ArgumentParser(
        prog="fxsim",
        description="Trained fixed-point models to exact emulation, multiplier-free Verilog and hls4ml.",
        epilog="Exit status: 0 all equal, 1 a mismatch, 2 an error (file, option, tool), 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"fxsim {__version__}")
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1]
        text = (command.__doc__ or "").strip()
        p = sub.add_parser(name, help=text.splitlines()[0].rstrip("."), description=text)
        command.add_arguments(p)
        p.add_argument(
            "--json", action="store_true", help="print data as JSON on standard output, nothing else there"
        )
        p.add_argument("--debug", action="store_true", help="show the traceback of an error")
        p.set_defaults(execute=command.execute)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    if sys.stdout is None:  # started with standard output closed (`>&-`)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for as long as the process lives)
    console, debug = Console(), False
    try:
        with _signals(console):
            arguments = parser().parse_args(argv)
            console.json, debug = arguments.json, arguments.debug
            equal: bool = arguments.execute(arguments, console)
            console.check_stopped()
            console.close()
            return EXIT_OK if equal else EXIT_MISMATCH
    except BaseException as e:
        # What is raised while a compiled module is imported may come out as another error.
        stopped = console.stopped or e
        if isinstance(stopped, (KeyboardInterrupt, Terminated)):
            return _stopped(stopped)
        if isinstance(e, BrokenPipeError):
            _discard_output()
            return EXIT_CLOSED
        if debug or not isinstance(e, TOLD):
            raise
        _forget_hardware()
        return _failed(_message(e), console.json)


def _stopped(by: KeyboardInterrupt | Terminated) -> int:
    """One line on standard error, and the exit status of a signal."""
    _forget_hardware()
    told, status = "interrupted", EXIT_INTERRUPTED
    if isinstance(by, Terminated):
        told, status = "terminated", 128 + by.number
    print(told, file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # the reader of the output was stopped as well
        _discard_output()
    return status


def _failed(message: str, as_json: bool) -> int:
    """The error on standard error, and as data where data were asked for."""
    print(f"error: {message}", file=sys.stderr)
    try:
        if as_json:
            print(json.dumps({"error": message}))
        sys.stdout.flush()
    except OSError:  # standard output itself is what failed
        _discard_output()
    return EXIT_ERROR


def _message(e: BaseException) -> str:
    if isinstance(e, KeyError) and e.args:
        return str(e.args[0])
    if isinstance(e, OSError) and e.filename and e.strerror:
        return f"{e.filename}: {e.strerror}"
    if isinstance(e, OSError) and e.strerror:
        return e.strerror
    if isinstance(e, MemoryError):
        return f"not enough memory ({e})" if str(e) else "not enough memory"
    return str(e) or type(e).__name__


def _forget_hardware() -> None:
    """Amaranth warns of modules that were described but never used: not when the work was stopped."""
    if "amaranth" in sys.modules:
        from amaranth.hdl import UnusedElaboratable

        warnings.simplefilter("ignore", UnusedElaboratable)


def _discard_output() -> None:
    """Let the interpreter's last flush of standard output go nowhere, where its reader is gone."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


@contextlib.contextmanager
def _signals(console: Console) -> Iterator[None]:
    """SIGTERM and SIGHUP raise Terminated while a command runs, where they would end the process at once.

    These and Ctrl-C are remembered too: code that calls back into Python may swallow what is raised in it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        console.stopped = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
        raise console.stopped

    names = [getattr(signal, n) for n in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, n)]
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.signal(n, stop) for n in names if signal.getsignal(n) in usual}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
