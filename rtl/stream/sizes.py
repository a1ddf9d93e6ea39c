"""Depths of the FIFOs of a stream network: as small as the full rate allows, and free of deadlock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from rtl.stream.deadlock import attempt, passes, prove
from rtl.stream.model import ENDLESS, Model
from rtl.stream.model_kernel import FIFO
from rtl.stream.model_tables import Tables
from rtl.stream.network import Network

LEAST = 2
"""Depth at which a FIFO takes and gives a beat in every clock cycle."""

FRAMES = 64
"""Most frames, of its own stream, that a FIFO is tried with."""


def fifo_depths(
    network: Network, beats_in: int, beats_out: int, names: Iterable[str] | None = None
) -> dict[str, int]:
    """The depths of the FIFOs of these names, by default of all; those that they have count for nothing.

    The interval (cycles per frame, with a source that never runs dry) is the least that a part or link allows
    by itself, if unlimited FIFOs keep up with a source at that pace; if not, it is the one of a network with
    FIFOs so deep that others of two and four times as many frames do not shorten it. The depths are found in
    three steps, each of which is checked by the exact model:

    1. marks: the source is slowed down to that interval, so that beats pile up nowhere but where they must
       wait, and the FIFOs are unlimited; depth = the mark that is reached, with which all would be the same;
    2. one FIFO after the other, the one of most bits first, gets the least depth that a search by halves
       finds with which the interval is still the same (at least `LEAST`, and what absence of deadlock needs);
    3. `prove`: the network never gets stuck.

    The interval need not fall with the depth in general (a pipeline that stalls keeps its gaps), so that a
    lesser depth that the search passes over may do as well; those that are returned are verified.

    Raises RuntimeError where the network gets stuck with FIFOs of any depth, ValueError for a name that is
    not a FIFO's, and what `Model` raises.
    """
    tables = Tables(network, beats_in, beats_out)
    fifos = tables.names_of(FIFO)
    names = fifos if names is None else list(names)
    for name in names:
        if name not in fifos:
            raise ValueError(f"names must be FIFOs of {tables.name}, not {name!r}")
    if not names:
        prove(Model(tables))
        return {}
    prove(Model(tables.with_capacity(dict.fromkeys(names, ENDLESS))))
    floor = Fraction(max([*tables.own, *tables.beats]))
    brief = 16 + 4 * -(-tables.stages // min(tables.own))
    goal, depths = floor, _marks(tables, names, floor, brief)
    if depths is None or interval(tables, depths) > goal:
        goal, depths = full_rate(tables, names)
        marks = _marks(tables, names, goal, 4 * FRAMES)
        if marks is not None and interval(tables, marks) <= goal:
            depths = marks
    for name in sorted(names, key=lambda n: (-depths[n] * tables.bits(n), n)):
        depths[name] = _least(tables, depths, name, goal)
    prove(Model(tables.with_capacity(depths)))
    assert interval(tables, depths) <= goal
    return depths


def interval(tables: Tables, depths: Mapping[str, int]) -> Fraction:
    """Cycles per frame with these depths."""
    return Model(tables.with_capacity(depths)).steady().interval


def full_rate(tables: Tables, names: list[str]) -> tuple[Fraction, dict[str, int]]:
    """(cycles per frame, depths) with FIFOs so deep that two and four times as deep ones are not faster.

    The first try holds one frame and as many beats as all pipelines: what a short way must hold while a long
    one takes its time, unless that collects several frames.
    """
    floor = max([*tables.own, *tables.beats])
    found: list[tuple[Fraction, dict[str, int]]] = []
    frames = 1
    while frames <= FRAMES:
        depths = {n: frames * (tables.own[tables.number(n)] + tables.stages + LEAST) for n in names}
        found.append((interval(tables, depths), depths))
        best = min(found, key=lambda f: f[0])
        if best[0] == floor or [f[0] for f in found[-3:]] == [best[0]] * 3:
            break
        frames *= 2
    return best


def _marks(tables: Tables, names: list[str], pace: Fraction, frames: int) -> dict[str, int] | None:
    """Depths with which all would be as with unlimited FIFOs and a source at this pace, and nothing gets
    stuck; None where the network does not keep up, so far as so many frames show it."""
    unlimited = tables.with_capacity(dict.fromkeys(names, ENDLESS))
    try:
        found = Model(unlimited).steady(pace=pace, max_frames=frames).parts
    except TimeoutError:
        return None
    marks = {name: max(LEAST, found[tables.number(name)].mark) for name in names}
    if passes(tables.with_capacity(marks)):
        return marks
    safe = attempt(unlimited.shallow()).activity()
    return {name: max(marks[name], safe[tables.number(name)].mark) for name in names}


def _least(tables: Tables, depths: Mapping[str, int], name: str, goal: Fraction) -> int:
    """The least depth of one FIFO found with which the interval is `goal` and nothing gets stuck."""

    def enough(depth: int) -> bool:
        tried = {**depths, name: depth}
        return passes(tables.with_capacity(tried)) and interval(tables, tried) <= goal

    bad, good = LEAST - 1, depths[name]
    # Most FIFOs are needed as a register only, or exactly as deep as the beats that they held.
    guesses = [good - 1, LEAST]
    while good - bad > 1:
        depth = guesses.pop() if guesses else (bad + good) // 2
        if not bad < depth < good:
            continue
        if enough(depth):
            good = depth
        else:
            bad = depth
    return good
