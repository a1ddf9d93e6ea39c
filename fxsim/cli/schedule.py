"""Options for hardware that is streamed or folded, and what commands tell of it."""

from __future__ import annotations

import argparse
from typing import Any

from fxsim.cli.arguments import natural, positive, rate
from fxsim.cli.console import Console, number

TARGETS = ("fps", "lut", "ram", "interval")


def add_schedule_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--schedule", action="append", metavar="[BLOCK=]S",
        help="unrolled: one sample per clock (default); streamed, streamed(N), streamed(row): 1, N or a row "
        "of pixels per clock; folded(N): N processing elements per layer; auto: chosen by --fps, --interval, "
        "--lut, --ram; BLOCK=S is for one block, several times for several",
    )  # fmt: skip
    p.add_argument(
        "--axes", action="append", type=axes, metavar="[INPUT=]A,B",
        help="axes along which an input streams, or whole (default: those of its first windows)",
    )  # fmt: skip
    p.add_argument(
        "--fps", type=rate, metavar="F",
        help="least frames per second at --clock, which with --family generic only turns cycles into time",
    )  # fmt: skip
    p.add_argument("--interval", type=positive, metavar="N", help="most clock cycles per frame")
    p.add_argument("--lut", type=natural, metavar="N", help="most LUTs of 4 inputs, as estimated")
    p.add_argument("--ram", type=natural, metavar="BITS", help="most bits of memory")


def axes(text: str) -> tuple[str | None, tuple[int, ...]]:
    """(input or None, its axes) of "0,1", "whole" or "x=0,1"."""
    name, _, given = text.rpartition("=")
    try:
        found = () if given.strip() == "whole" else tuple(int(a) for a in given.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be axes like 0,1, or whole, perhaps after INPUT=, not {text!r}"
        ) from None
    return name or None, found


def is_unrolled(arguments: argparse.Namespace) -> bool:
    """Whether the arguments ask for no schedule."""
    return [s.strip() for s in arguments.schedule or ["unrolled"]] == ["unrolled"]


def schedule_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of `rtl.build`; ValueError for such that do not go together."""
    schedule = _schedule(arguments.schedule or ["unrolled"])
    options: dict[str, Any] = {"schedule": schedule}
    target = {k: getattr(arguments, k) for k in TARGETS if getattr(arguments, k) is not None}
    if schedule == "auto":
        if not target:
            raise ValueError("--schedule auto needs one or more of --fps, --interval, --lut and --ram")
        if arguments.fps is not None and arguments.clock is None:
            raise ValueError("--fps needs --clock, by which cycles become seconds")
        options["target"] = {**target, "clock_mhz": arguments.clock}
    elif target:
        raise ValueError(f"--{next(iter(target))} needs --schedule auto, not {_spelled(schedule)}")
    if arguments.axes:
        if schedule == "unrolled":
            raise ValueError(
                "--axes needs --schedule streamed, folded or auto: unrolled hardware has no stream"
            )
        options["axes"] = _axes(arguments.axes)
    return options


def clock_of(arguments: argparse.Namespace) -> float | None:
    """The clock that stages must allow."""
    only_time = arguments.fps is not None and arguments.family == "generic"
    return None if only_time else arguments.clock


def _schedule(entries: list[str]) -> str | dict[str, str]:
    blocks: dict[str, str] = {}
    for entry in entries:
        name, _, mode = entry.rpartition("=")
        name, mode = name.strip() or "*", mode.strip()
        if blocks.setdefault(name, mode) != mode:
            what = "blocks without one of their own" if name == "*" else f"block {name!r}"
            raise ValueError(f"--schedule must be one for {what}, not {blocks[name]} and {mode}")
    if set(blocks) == {"*"}:
        return blocks["*"]
    if "auto" in blocks.values():
        raise ValueError(f"--schedule auto must stand alone, not with {_spelled(blocks)}")
    return blocks


def _spelled(schedule: str | dict[str, str]) -> str:
    if isinstance(schedule, str):
        return schedule
    return ", ".join(mode if name == "*" else f"{name}={mode}" for name, mode in schedule.items())


def _axes(given: list[tuple[str | None, tuple[int, ...]]]) -> Any:
    if any(name is None for name, _ in given):
        if len(given) > 1:
            raise ValueError("--axes must name the input, as in x=0,1, where it is given several times")
        return given[0][1]
    return dict(given)


def tell_schedule(core: Any, console: Console) -> None:
    """Beats, interval, memory and choices of a streamed core; of others nothing."""
    if not hasattr(core, "network"):
        return
    interval = number(float(core.interval))
    console.data |= {
        "schedule": str(core.schedule), "beats_in": core.beats_in, "beats_out": core.beats_out,
        "interval": interval, "memory": core.memory,
        "choice": None if core.choice is None else core.choice.to_json(),
    }  # fmt: skip
    console.line(
        f"schedule {core.schedule}: a frame is {_beats(core.beats_in)} in and {_beats(core.beats_out)} out, "
        f"every {interval:g} cycles; {core.memory} memory bits"
    )
    if core.choice is not None:
        console.line(str(core.choice))


def _beats(n: int) -> str:
    return f"{n} beat" if n == 1 else f"{n} beats"
