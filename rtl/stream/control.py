"""When a part takes and gives beats, without what is in them: the data of the cycle model.

Every part is one of these. Payloads never decide when a beat moves, so that a network's timing follows
from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Steps:
    """One program per frame, repeated, in front of a pipeline of `depth` registers with one enable.

    advance = o.ready or not valid[depth - 1]. The next step fires in a cycle where `advance`, and i.valid
    if the
    step `needs` it; i.ready = advance and takes[step]. A step that fires and `emits` puts a beat into the
    pipeline; `depth` edges after the one that fires it is offered, if nothing stalls. takes implies needs.

    needs, takes, emits   bool arrays, one entry per step of a frame
    """

    needs: np.ndarray
    takes: np.ndarray
    emits: np.ndarray
    depth: int


@dataclass(frozen=True, eq=False)
class Buffered:
    """A memory of `capacity` beats, a writer that takes every beat, a reader with a program of its own.

    i.ready = written - freed < capacity, from registers alone. The reader's next step fires in a cycle
    where its
    pipeline (as of `Steps`) advances and, beats counted from the first of the frame, more than reads[step]
    of this
    frame are written (as registered: a beat taken at one edge can be read in the cycle after); reads[step]
    = -1
    waits for nothing. Firing sets `freed` to frees[step] of this frame. Every step emits where emits[step].

    beats    written per frame
    """

    beats: int
    reads: np.ndarray
    frees: np.ndarray
    emits: np.ndarray
    capacity: int
    depth: int


@dataclass(frozen=True)
class Fifo:
    """i.ready = count < depth, o.valid = count > 0; a beat taken at an edge is offered in the cycle after."""

    depth: int


@dataclass(frozen=True)
class Fork:
    """One input, `ways` outputs, no register for data. Output k is offered while i.valid and it is not
    done for
    this beat; done bits are registers; i.ready when every output is done or ready."""

    ways: int


@dataclass(frozen=True)
class Join:
    """`ways` inputs side by side, one output, no register: o.valid when all are valid; each is ready when
    o.ready
    and all others are valid."""

    ways: int


Control = Steps | Buffered | Fifo | Fork | Join
