"""A stream network as tables of integers, a row per part, and the beats per frame of every link."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from rtl.stream import control as c
from rtl.stream.network import Link, Network

COLUMNS = 11
KINDS = (c.Steps, c.Buffered, c.Fifo, c.Fork, c.Join)  # by their numbers in `rtl.stream.model_kernel`
CAPACITY, DEPTH = 8, 7  # columns of the table


class Tables:
    """What the cycle loop reads: `table` (a row per part), `ports` (numbers of links), `flags`, `reads` and
    `frees` (programs end to end).

    parts      of the network, in its order
    controls   theirs
    links      by number
    beats      per frame, by number of the link
    own        steps per frame that each part makes: the cycles per frame that it needs at least
    """

    def __init__(self, network: Network, beats_in: int, beats_out: int) -> None:
        for name, value in (("beats_in", beats_in), ("beats_out", beats_out)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}")
        network.check()
        self.name = network.top
        self.parts = list(network.parts)
        self.links: list[Link] = list(network.links)
        self.controls = [part.control() for part in self.parts]
        self.beats_in, self.beats_out = int(beats_in), int(beats_out)
        self.first, self.last = self.links.index(network.first), self.links.index(network.last)
        self.inputs = [self._numbers(part, part.inputs, "target") for part in self.parts]
        self.outputs = [self._numbers(part, part.outputs, "source") for part in self.parts]
        for k, part in enumerate(self.parts):
            check(part.name, self.controls[k], len(self.inputs[k]), len(self.outputs[k]))
        self._fill()
        self.beats, self.own = balance(self)

    def _numbers(self, part: Any, streams: Any, side: str) -> list[int]:
        """Numbers of the links of these streams of a part."""
        port = "port" if side == "source" else "target_port"
        found = {getattr(link, port): n for n, link in enumerate(self.links) if getattr(link, side) is part}
        return [found[s.name] for s in streams]

    def _fill(self) -> None:
        self.table = np.zeros((len(self.parts), COLUMNS), np.int64)
        ports: list[int] = []
        flags, reads, frees = [], [], []
        program = stages = 0
        for k, control in enumerate(self.controls):
            ways = (len(self.inputs[k]), len(self.outputs[k]))
            where = (len(ports), len(ports) + ways[0])
            ports += [*self.inputs[k], *self.outputs[k]]
            length = depth = capacity = beats = 0
            if isinstance(control, c.Steps):
                bits = [np.asarray(a, np.uint8) << n for n, a in enumerate(_program(control))]
                length, depth = len(bits[0]), control.depth
                flags.append(bits[0] | bits[1] | bits[2])
                reads.append(np.zeros(length, np.int64))
                frees.append(np.zeros(length, np.int64))
            elif isinstance(control, c.Buffered):
                length, depth = len(control.emits), control.depth
                capacity, beats = control.capacity, control.beats
                flags.append(np.asarray(control.emits, np.uint8) << 2)
                reads.append(np.asarray(control.reads, np.int64))
                frees.append(np.asarray(control.frees, np.int64))
            elif isinstance(control, c.Fifo):
                capacity = control.depth
            kind = KINDS.index(type(control))
            self.table[k] = (
                kind, where[0], ways[0], where[1], ways[1], program, length, depth, capacity, beats, stages,
            )  # fmt: skip
            program += length
            stages += depth
        self.ports = np.array(ports, np.int64)
        self.flags = np.concatenate([*flags, np.zeros(0, np.uint8)]).astype(np.uint8)
        self.reads = np.concatenate([*reads, np.zeros(0, np.int64)])
        self.frees = np.concatenate([*frees, np.zeros(0, np.int64)])
        self.stages = stages

    def names_of(self, kind: int) -> list[str]:
        """Names of the parts of a kind of control, by its number in `rtl.stream.model_kernel`."""
        return [p.name for p, row in zip(self.parts, self.table, strict=True) if row[0] == kind]

    def number(self, name: str) -> int:
        """Of the part of this name. KeyError if there is none."""
        for k, part in enumerate(self.parts):
            if part.name == name:
                return k
        raise KeyError(name)

    def capacity(self, name: str) -> int:
        """Beats that a FIFO or memory holds."""
        return int(self.table[self.number(name), CAPACITY])

    def bits(self, name: str) -> int:
        """Of a beat that comes to the part."""
        return self.links[self.inputs[self.number(name)][0]].bits

    def with_capacity(self, capacities: Mapping[str, int]) -> Tables:
        """The same network with other depths of FIFOs, or capacities of memories."""
        made = copy.copy(self)
        made.table = self.table.copy()
        for name, capacity in capacities.items():
            made.table[self.number(name), CAPACITY] = capacity
        return made

    def shallow(self) -> Tables:
        """The same network with one register in place of every pipeline."""
        made = copy.copy(self)
        made.table = self.table.copy()
        piped = made.table[:, DEPTH] > 0
        made.table[piped, DEPTH] = 1
        return made


def _program(control: c.Steps) -> tuple[Any, Any, Any]:
    return control.needs, control.takes, control.emits


def check(name: str, control: Any, inputs: int, outputs: int) -> None:
    """TypeError or ValueError that names the part whose control data is not as `rtl.stream.control` says."""
    if type(control) not in KINDS:
        raise TypeError(f"control of {name} must be one of rtl.stream.control, not {control!r}")
    kind = type(control).__name__
    expected = (1, control.ways) if isinstance(control, c.Fork) else (1, 1)
    if isinstance(control, c.Join):
        expected = (control.ways, 1)
    if (inputs, outputs) != expected and not (kind == "Steps" and (inputs, outputs) == (0, 1)):
        raise ValueError(f"streams of {name} must be {expected} in and out, not {(inputs, outputs)}")
    if isinstance(control, c.Fork) and control.ways > 62:
        raise ValueError(f"ways of {name} must be at most 62, not {control.ways}")
    if not isinstance(control, c.Join | c.Fork) and control.depth < 1:
        raise ValueError(f"depth of {name} must be at least 1, not {control.depth!r}")
    if isinstance(control, c.Steps):
        needs, takes, _ = arrays = [np.asarray(a) for a in _program(control)]
        if {a.shape for a in arrays} != {(len(needs),)} or not len(needs):
            raise ValueError(f"needs, takes and emits of {name} must be of one length, at least 1")
        if (takes.astype(bool) & ~needs.astype(bool)).any():
            raise ValueError(f"{name} must need every beat that it takes")
        if not inputs and needs.any():
            raise ValueError(f"{name} must need no beat, for it has no input")
    if isinstance(control, c.Buffered):
        reads, frees = np.asarray(control.reads), np.asarray(control.frees)
        if not len(reads) or {reads.shape, frees.shape, np.shape(control.emits)} != {(len(reads),)}:
            raise ValueError(f"reads, frees and emits of {name} must be of one length, at least 1")
        if control.capacity < 1 or control.beats < 1:
            raise ValueError(f"capacity and beats of {name} must be at least 1")
        if reads.min() < -1 or not 0 <= reads.max() < control.beats:
            raise ValueError(f"reads of {name} must lie in -1..{control.beats - 1} and wait for some beat")
        if (np.diff(frees) < 0).any() or frees[0] < 0 or frees[-1] != control.beats:
            raise ValueError(f"frees of {name} must not fall, and end at {control.beats}")


def balance(t: Tables) -> tuple[list[int], list[int]]:
    """Beats per frame of every link, and steps per frame of every part.

    A part makes its program a whole number of times in a frame. ValueError that names the part where it does
    not, where two inputs of a part bring different counts, or the network's output has another count than it
    should.
    """
    beats: list[int | None] = [None] * len(t.links)
    own: list[int | None] = [None] * len(t.parts)
    beats[t.first], beats[t.last] = t.beats_in, t.beats_out

    def put(link: int, count: int, who: str) -> None:
        if beats[link] not in (None, count):
            raise ValueError(
                f"beats of {t.links[link]} must be {beats[link]} per frame, not {count} of {who}"
            )
        beats[link] = count

    for order in (1, -1, 1, -1):  # forwards; then backwards for parts without inputs, and on from there
        for k in range(len(t.parts))[::order]:
            name, control = t.parts[k].name, t.controls[k]
            every = [*t.inputs[k], *t.outputs[k]]
            known = [n for n in every if beats[n] is not None]
            if not known:
                continue
            if not isinstance(control, c.Steps | c.Buffered):
                for n in every:
                    put(n, beats[known[0]], name)
                own[k] = beats[known[0]]
                continue
            emitted = int(np.count_nonzero(control.emits))
            taken = control.beats if isinstance(control, c.Buffered) else int(np.count_nonzero(control.takes))
            share = dict.fromkeys(t.inputs[k], taken) | dict.fromkeys(t.outputs[k], emitted)
            known = [n for n in known if share[n]]
            if not known:
                raise ValueError(f"{name} must take and emit beats")
            times = Fraction(beats[known[0]], share[known[0]])
            if times.denominator != 1:
                raise ValueError(
                    f"beats of {t.links[known[0]]} must be a multiple of {share[known[0]]} per frame for "
                    f"{name}, not {beats[known[0]]}"
                )
            for n in every:
                put(n, int(times) * share[n], name)
            own[k] = int(times) * len(control.emits)
    lost = [str(t.links[n]) for n, count in enumerate(beats) if count is None]
    if lost:
        raise ValueError(f"beats per frame of {lost[0]} must follow from the network's input or output")
    return [int(count or 0) for count in beats], [int(count or 0) for count in own]
