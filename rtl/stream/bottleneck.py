"""Which part of a stream network limits the rate: a table of what every part does in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rtl.bench.patterns import Pattern
from rtl.stream.deadlock import BUFFERED, FIFO
from rtl.stream.model import Model


@dataclass(frozen=True)
class Row:
    """What a part does in a frame, in clock cycles, on average where frames differ.

    steps    that it makes: so many cycles it needs by itself, at one step a cycle
    blocked  cycles in which its output does not take what it has
    starved  cycles in which it has nothing to do, for lack of input
    mark     beats that its memory or FIFO holds at most; None where it has none
    room     beats that it can hold
    """

    part: str
    title: str
    steps: int
    utilisation: Fraction
    blocked: Fraction
    starved: Fraction
    mark: int | None
    room: int | None


@dataclass(frozen=True)
class Bottleneck:
    """The report: a row per part, and at both ends the network's source and sink, which can limit too.

    limit    the part, or "input" or "output", that limits the interval
    reason   "steps": it makes one in each cycle; "room": the interval is shorter with a larger FIFO or memory
             `limit`; "waiting": no part is busy all the time, and no single room helps: the busiest one
    relieved interval with twice the room, of those FIFOs and memories that shorten it
    """

    network: str
    interval: Fraction
    limit: str
    reason: str
    rows: tuple[Row, ...]
    relieved: dict[str, Fraction]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and text; fractions as floats, the interval exactly as `interval_exact`, text."""
        return {
            "network": self.network,
            "interval": float(self.interval),
            "interval_exact": str(self.interval),
            "limit": self.limit,
            "reason": self.reason,
            "relieved": {name: float(value) for name, value in self.relieved.items()},
            "parts": [
                {
                    "part": r.part, "title": r.title, "steps": r.steps, "utilisation": float(r.utilisation),
                    "blocked": float(r.blocked), "starved": float(r.starved), "mark": r.mark, "room": r.room,
                }
                for r in self.rows
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        head = ("part", "steps", "busy", "blocked", "starved", "held", "what")
        lines = [head]
        for r in self.rows:
            held = "" if r.mark is None else f"{r.mark}/{r.room}"
            cycles = (_number(r.blocked), _number(r.starved))
            lines.append((r.part, str(r.steps), f"{float(r.utilisation):.1%}", *cycles, held, r.title))
        wide = [max(len(line[k]) for line in lines) for k in range(6)]
        first = f"{self.network}: {_number(self.interval)} clock cycles per frame, limited by {self.limit}"
        first += {"steps": "", "room": ", which is too small", "waiting": ", which waits"}[self.reason]
        return "\n".join(
            [
                first,
                *(
                    f"{line[0]:<{wide[0]}}  "
                    + "  ".join(f"{c:>{n}}" for c, n in zip(line[1:6], wide[1:], strict=True))
                    + f"  {line[6]}"
                    for line in lines
                ),
                *(
                    f"twice the room in {name}: {_number(value)} clock cycles per frame"
                    for name, value in self.relieved.items()
                ),
            ]
        )


def bottleneck(model: Model, idle: Pattern | None = None, backpressure: Pattern | None = None) -> Bottleneck:
    """What limits the interval, with a source that never runs dry and a sink that is always ready, or with
    these patterns (of type Cycle). Raises what `Model.steady` raises."""
    t, steady = model.tables, model.steady(idle, backpressure)
    total = steady.interval
    rows = [_end("input", "the source of the network's beats", t.beats_in, total)]
    for k, (part, did) in enumerate(zip(t.parts, steady.parts, strict=True)):
        holds = t.table[k, 0] in (BUFFERED, FIFO)
        rows.append(
            Row(
                part.name, part.title, t.own[k], Fraction(t.own[k]) / total,
                Fraction(did.blocked, steady.frames), Fraction(did.starved, steady.frames),
                did.mark if holds else None, t.capacity(part.name) if holds else None,
            )
        )  # fmt: skip
    rows.append(_end("output", "the sink of the network's beats", t.beats_out, total))
    busiest = max(rows, key=lambda r: r.steps)
    if busiest.steps == total:
        return Bottleneck(t.name, total, busiest.part, "steps", tuple(rows), {})
    relieved = {}
    for row in rows:
        # A room that never was full lets nobody wait.
        if row.room is not None and row.mark == row.room:
            more = Model(t.with_capacity({row.part: 2 * row.room})).steady(idle, backpressure).interval
            if more < total:
                relieved[row.part] = more
    if relieved:
        least = min(relieved, key=lambda name: relieved[name])
        return Bottleneck(t.name, total, least, "room", tuple(rows), relieved)
    return Bottleneck(t.name, total, busiest.part, "waiting", tuple(rows), {})


def _end(name: str, title: str, beats: int, interval: Fraction) -> Row:
    """Of the source (what it has to give and nobody takes is not counted), or of the sink."""
    return Row(name, title, beats, Fraction(beats) / interval, Fraction(0), interval - beats, None, None)


def _number(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.2f}"
