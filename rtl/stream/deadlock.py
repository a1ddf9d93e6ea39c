"""Whether a stream network can get stuck: a proof for every pattern of pauses, or the parts that wait."""

from __future__ import annotations

from typing import Any

from rtl.stream.model import ENDLESS, Model, Simulation
from rtl.stream.model_tables import Tables

BUFFERED, FIFO, FORK, JOIN = range(1, 5)  # of `rtl.stream.model_kernel`
COUNT, FREED, DONE = 1, 2, 5  # columns of the state there
MOST = 1_000_000_000  # clock cycles, more than any frame has


def prove(model: Model) -> None:
    """Returns if the network never gets stuck, whatever the pauses of source and sink; else RuntimeError.

    Let R be the network with one register in place of every pipeline. From reset, let R settle: run it
    without source and sink until nothing moves. Then run a frame of input and output, and let it settle
    again. What is checked: the frame passes, and the registers are those of before. Then R passes any number
    of frames.

    Claim: then the network N itself passes any number of frames, under all pauses that end some time.
    Assume that N is stuck: nothing will ever move, although the source offers and the sink is ready. In N

    - a pipeline is empty or its last register is full, for otherwise it would advance: its oldest beat is
      offered;
    - the oldest beat of a FIFO is offered.

    What a part does is a sequence of events that pauses cannot change (steps, beats put into a memory, beats
    taken from a FIFO, ways of a fork served, joins): parts choose nothing by the time at which beats come,
    and the network is a Kahn process network with bounded channels. Put the events of the run of R in a row,
    those of one cycle from the output backwards, since a register may be filled in the cycle in which it is
    emptied. Let e, an event of part p, be the first in the row that N has not done; such a one exists if N
    lacks an output beat that R gives. All before e happened in N as well, so

    - the beat that e needs was sent by the part before, all earlier ones are gone, and so it is offered to p;
    - the beats that stand behind p were fewer, in R, than there is room: a pipeline's register empty or being
      emptied, a FIFO or memory with a free place as registered. All that made this room happened in N too. A
      pipeline of N whose beats are all taken is empty, and advances. FIFOs and memories are as large as in R.

    So e can happen in N, which is not stuck. The same argument shows that more capacity, of any FIFO, memory
    or pipeline, never makes a network stuck that is not without it.

    Raises RuntimeError that says who waits for whom and which FIFO is too small, or which part is not as it
    was at the end of a frame. Frames are as many beats as the model was made for.
    """
    sim = attempt(model.tables.shallow())
    t = sim.tables
    if sim.received < t.beats_out:
        raise RuntimeError(explain(sim))
    before = attempt(t, frames=0)
    if sim.sent != t.beats_in:
        raise RuntimeError(f"{t.name} took {sim.sent} of {t.beats_in} beats and gave all of its output")
    columns = [0, COUNT, FREED, 4, DONE]
    for p, part in enumerate(t.parts):
        was, now = (s.state[p, columns].tolist() for s in (before, sim))
        if was != now:
            raise RuntimeError(
                f"{part.name} of {t.name} must be after a frame what it was before: "
                f"step, beats, freed, registers, done bits {was}, not {now}"
            )


def attempt(tables: Tables, frames: int = 1) -> Simulation:
    """The network after it settled, so many frames passed, as far as they can, and it settled again."""
    sim = Simulation(tables, 0)
    sim.settle()
    sim.supply(frames * tables.beats_in)
    sim.reach(frames * tables.beats_out, sim.cycle + MOST)
    sim.settle()
    return sim


def passes(tables: Tables) -> bool:
    """Whether a frame passes with one register in place of every pipeline."""
    return attempt(tables.shallow()).received == tables.beats_out


def least_depth(tables: Tables, name: str) -> int:
    """The least depth of this FIFO, or capacity of this memory, with which a frame passes under all pauses;
    0 if there is none, other capacities being as they are."""
    room = attempt(tables.with_capacity({name: ENDLESS}).shallow())
    if room.received < tables.beats_out:
        return 0
    low, high = 1, max(1, int(room.stats[tables.number(name), 3]))  # the mark is enough
    while low < high:
        middle = (low + high) // 2
        if passes(tables.with_capacity({name: middle})):
            high = middle
        else:
            low = middle + 1
    return high


def explain(sim: Simulation) -> str:
    """Who waits for whom in a network in which nothing moves, and what is too small."""
    t = sim.tables
    head = f"{t.name} is stuck: it took {sim.sent} beats and gave {sim.received}"
    ring = _ring(sim)
    lines = [_sentence(sim, *wait) for wait in ring]
    small = []
    for name, _, link in ring:
        if link is None:
            small.append(f"memory of {name} ({t.capacity(name)} beats) is too small for its own reader")
    full = {name for name, _, _ in ring if name in t.names_of(FIFO)} & {
        part.name
        for p, part in enumerate(t.parts)
        if t.table[p, 0] == FIFO and sim.state[p, COUNT] >= t.table[p, 8]
    }
    for name in sorted(full):
        enough = least_depth(t, name)
        small.append(
            f"FIFO {name} of depth {t.capacity(name)} is too small"
            + (f", {enough} is enough" if enough else ", as are others")
        )
    if not small:
        gives = [t.links[n] for _, gives, n in ring if gives and n is not None]
        small += [f"a FIFO is missing in {link}" for link in gives[:1]]
    return "; ".join([head, *lines, *small])


def _sentence(sim: Simulation, name: str, gives: bool, link: int | None) -> str:
    if link is None:
        return f"{name} waits for beats for which its memory has no room"
    end = sim.tables.links[link]
    other = end.target if gives else end.source
    whom = other.name if other is not None else "the output" if gives else "the input"
    return f"{name} waits for {whom} to {'take' if gives else 'give'} a beat ({end})"


def _ring(sim: Simulation) -> list[tuple[str, bool, int | None]]:
    """(part, whether it gives, link) of parts that wait for one another in a ring, or on the way from the
    network's output to what waits for nothing: found depth first."""
    t = sim.tables
    start = t.links[t.last].source
    path: list[tuple[str, bool, int | None]] = []
    on: list[Any] = []
    seen: set[str] = set()

    def visit(part: Any) -> bool:
        if part is None or part.name in seen:
            return False
        seen.add(part.name)
        on.append(part)
        for gives, n in _waits(sim, t.number(part.name)):
            path.append((part.name, gives, n))
            if n is None:
                del path[:-1]
                return True
            other = t.links[n].target if gives else t.links[n].source
            if other in on:
                del path[: on.index(other)]
                return True
            if visit(other):
                return True
            path.pop()
        on.pop()
        return False

    if not visit(start):
        part = start
        path.clear()
        while part is not None and len(path) < len(t.parts):
            waits = _waits(sim, t.number(part.name))
            if not waits:
                break
            gives, n = waits[0]
            path.append((part.name, gives, n))
            part = t.links[n].target if gives else t.links[n].source
    return path


def _waits(sim: Simulation, p: int) -> list[tuple[bool, int | None]]:
    """What part p waits for: (True, link) to give a beat, (False, link) to get one, (False, None) itself."""
    t, kind = sim.tables, int(sim.tables.table[p, 0])
    ins, outs = t.inputs[p], t.outputs[p]
    offered = [n for n in ins if sim.valid[n]]
    if kind == FORK:
        if not offered:
            return [(False, ins[0])]
        return [(True, n) for n in outs if sim.valid[n] and not sim.ready[n]]
    if kind == JOIN and len(offered) < len(ins):
        return [(False, n) for n in ins if not sim.valid[n]]
    if sim.valid[outs[0]]:
        return [(True, outs[0])]
    if kind == BUFFERED and offered:  # and not taken, or something would move
        return [(False, None)]
    return [(False, n) for n in ins]
