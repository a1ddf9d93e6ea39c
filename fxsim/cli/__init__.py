"""The command line: one subcommand a file, errors as one line, `--json` for data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fxsim.cli import demo, hls, info, run, verify, verilog
from fxsim.cli.report import Console

COMMANDS = (demo, info, run, verilog, verify, hls)

EXIT_OK, EXIT_MISMATCH, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from fxsim import __version__

    top = argparse.ArgumentParser(
        prog="fxsim",
        description="Trained fixed-point models to exact emulation, multiplier-free Verilog and hls4ml.",
        epilog="Exit status: 0 all equal, 1 a mismatch, 2 an error (file, tool), 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"fxsim {__version__}")
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1]
        text = (command.__doc__ or "").strip()
        p = sub.add_parser(name, help=text.splitlines()[0], description=text)
        command.add_arguments(p)
        p.add_argument(
            "--json", action="store_true", help="print data as JSON on standard output, nothing else there"
        )
        p.add_argument("--debug", action="store_true", help="show the traceback of an error")
        p.set_defaults(execute=command.execute)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    arguments = parser().parse_args(argv)
    console = Console(json=arguments.json)
    try:
        equal: bool = arguments.execute(arguments, console)
        console.close()
        return EXIT_OK if equal else EXIT_MISMATCH
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except (ValueError, TypeError, LookupError, ArithmeticError, OSError, ImportError, RuntimeError) as e:
        if arguments.debug:
            raise
        print(f"error: {_message(e)}", file=sys.stderr)
        return EXIT_ERROR


def _message(e: BaseException) -> str:
    if isinstance(e, KeyError) and e.args:
        return str(e.args[0])
    if isinstance(e, FileNotFoundError) and e.filename and e.strerror:
        return f"no such file: {e.filename}"
    return str(e) or type(e).__name__
