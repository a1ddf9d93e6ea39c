"""A loop's hardware: a ring of slots, each with a problem that goes round until its status is not 0.

Proof that nothing is lost or mixed: `advance` enables every register of the ring, so that slots keep their
distance; a problem leaves only where it ends (`slot__ended`) into a result register that is empty or being
taken, and while that register is full the ring stands still; a problem enters only the place of an empty slot
or of one that leaves, at an edge where the ring moves. States, memory, steps, parameters and tag are in the
registers of one slot and move together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fxsim.iterate.stops import ABORTED
from rtl.emit import At
from rtl.emit.writer import Writer, extended, up
from rtl.layout import Layout
from rtl.lower.net import Net, Wire
from rtl.pipeline import Schedule, schedule
from rtl.timing import Family

PORTS = ("cancel", "busy")
"""Ports beside clock, reset and the streams."""


@dataclass(frozen=True)
class Lane:
    """One element of a tensor: the wire that computes it, the width that it has there, and its sign."""

    wire: Wire
    width: int
    signed: bool

    def read(self, w: Writer, stage: int, at: At, width: int) -> Any:
        """The element in `width` bits, as the logic of `stage` sees it."""
        net = self.wire.net
        v = w.constant(net.lo, net.width) if net.is_constant else at[net, stage]
        own = extended(w, up(w, v, self.wire.zeros), net.signed, self.width)
        return extended(w, own, self.signed, width)


def close(outputs: Sequence[Net], limit: tuple[Family, float] | None, even: Family | None) -> Schedule:
    """The stages of a ring: as of a pipeline, but what leaves the last stage goes back to the first one's
    registers instead of into output registers. Inputs that pass through are among the outputs."""
    plan = schedule(outputs, limit, even)
    last = plan.stages - 1
    return Schedule(plan.nets, plan.stage, {n: min(u, last) for n, u in plan.until.items()}, plan.stages)


def passed(outputs: Sequence[Net], first: int) -> list[Net]:
    """The live input nets from bit `first` on, which a slot takes along unchanged."""
    seen: set[Net] = set()
    todo = list(outputs)
    while todo:
        net = todo.pop()
        if net not in seen:
            seen.add(net)
            todo.extend(net.args)
    return sorted((n for n in seen if n.kind == "input" and n.params[0] >= first), key=lambda n: n.params)


@dataclass(frozen=True)
class Ring:
    """What the logic around the datapath needs to know.

    plan     of the datapath, one slot per stage
    kept     per first bit of an input lane, what comes back to it; an input without comes back as it is
    brought  per first bit of an input lane, the first bit of the payload's lane that a new problem brings
    begins   per first bit of an input lane, the integer with which a new problem begins
    results  per port of the output stream, but for the tag, its lanes; the last one is the status
    """

    plan: Schedule
    kept: Mapping[int, Lane]
    brought: Mapping[int, int]
    begins: Mapping[int, int]
    results: Sequence[tuple[str, int, Sequence[Lane]]]
    in_layout: Layout
    out_layout: Layout
    tag: int

    @property
    def control(self) -> int:
        """Register bits beside those of the slots' nets: marks, tags, and the result."""
        return self.plan.stages * (2 + self.tag) + 1 + self.out_layout.bits

    @property
    def names(self) -> tuple[str, ...]:
        """The signals of `close` that are no net's."""
        tags = [f"slot__tag_{k}" for k in range(self.plan.stages)] + ["result__tag"] if self.tag else []
        results = [f"result__{name}" for name, _, _ in self.results]
        slot = [f"slot__{k}" for k in ("valid", "stop", "status", "ended", "free", "take")]
        return (*slot, "result__valid", "result__room", "result__load", *results, *tags)

    def _inputs(self) -> list[Net]:
        return [n for n in self.plan.nets if n.kind == "input"]

    def declare(self, w: Writer, at: At) -> None:
        """The registers at the ring's entry, as what the first stage reads."""
        for net in self._inputs():
            at[net, 0] = w.state(net.name, net, 0)

    def close(self, w: Writer, at: At) -> None:
        """Behind the datapath: who ends, who enters, and what every register takes."""
        slots, last = self.plan.stages, self.plan.stages - 1
        valid, stop = w.flop("slot__valid", slots), w.flop("slot__stop", slots)
        full = w.flop("result__valid", 1)
        offered, ready, cancel = (w.pin(name, 1) for name in ("i__valid", "o__ready", "cancel"))
        present = w.cut(valid, last, slots)
        found = w.wire("slot__status", self.results[-1][2][0].read(w, last, at, self.results[-1][1]))
        ends = w.bitwise("or", w.any(found), w.cut(stop, last, slots))
        ended = w.wire("slot__ended", w.bitwise("and", present, ends))
        room = w.wire("result__room", w.bitwise("or", w.invert(full), ready))
        advance = w.drive("advance", w.bitwise("or", w.invert(ended), room))
        # Behind an empty slot, or one whose problem leaves, the entry takes the payload, valid or not.
        free = w.wire("slot__free", w.bitwise("or", w.invert(present), ends))
        taking = w.drive("i__ready", w.bitwise("and", advance, free))
        take = w.wire("slot__take", w.bitwise("and", taking, offered))
        w.drive("o__valid", full)
        w.drive("busy", w.bitwise("or", w.any(valid), full))

        stays = w.bitwise("and", present, w.invert(ended))
        w.load("slot__valid", w.join(w.bitwise("or", take, stays), w.cut(valid, 0, last)), advance, True)
        # A mark travels with its slot; the slot at the entry comes unmarked, or its problem would have ended.
        moved = w.join(w.constant(0, 1), w.cut(stop, 0, last))
        marks = w.join(w.bitwise("and", cancel, w.invert(take)), w.repeat(cancel, last))
        w.load("slot__stop", w.bitwise("or", w.pick(advance, moved, stop), marks), reset=True)
        w.load("result__valid", w.bitwise("or", ended, w.bitwise("and", full, w.invert(ready))), reset=True)
        for net in self._inputs():
            first, width = net.params[0], net.width
            if first in self.brought:
                new = w.lane(self.brought[first], width)
            else:
                new = w.constant(self.begins[first], width)
            again = self.kept[first].read(w, last, at, width) if first in self.kept else at[net, last]
            w.load(net.name, w.pick(free, new, again), advance)
        self._leave(w, at, free, advance, w.bitwise("and", ended, room), found)

    def _leave(self, w: Writer, at: At, free: Any, advance: Any, leaves: Any, found: Any) -> None:
        """The tags, and the result."""
        last = self.plan.stages - 1
        tag: Any = None
        if self.tag:
            tags = [w.flop(f"slot__tag_{k}", self.tag) for k in range(last + 1)]
            tag = tags[-1]
            brought = w.lane(self.in_layout.bits - self.tag, self.tag)
            for k, t in enumerate([w.pick(free, brought, tag), *tags[:-1]]):
                w.load(f"slot__tag_{k}", t, advance)
        leaving = w.wire("result__load", leaves)
        payload = []
        for name, width, lanes in self.results:
            if lanes is self.results[-1][2]:
                v = w.pick(w.any(found), found, w.constant(ABORTED, width))
            else:
                v = w.join(*(lane.read(w, last, at, width) for lane in lanes))
            payload.append(w.flop(f"result__{name}", w.width(v)))
            w.load(f"result__{name}", v, leaving)
        if self.tag:
            payload.append(w.flop("result__tag", self.tag))
            w.load("result__tag", tag, leaving)
        w.drive("o__payload", w.join(*payload))
