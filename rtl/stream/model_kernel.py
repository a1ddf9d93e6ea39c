"""The cycle loop of the model: handshakes of all parts of a network, compiled and kept in Numba's cache."""

from __future__ import annotations

import numpy as np
from numba import njit

# All names are here and not with those that write the tables: Numba's cache looks at this file only.
STEPS, BUFFERED, FIFO, FORK, JOIN = range(5)

# Columns of `table`, a row per part: where its links stand in `ports`, its program in `flags`, `reads` and
# `frees`, its registers in `stages`.
KIND, IN, INS, OUT, OUTS, PROGRAM, LENGTH, DEPTH, CAPACITY, BEATS, STAGES = range(11)

# Bits of `flags`.
NEEDS, TAKES, EMITS = 1, 2, 4

# Columns of `state`: next step, beats in a FIFO or written to a memory, beats freed, which of the registers
# is the last, beats in the registers, done bits. Written and freed count from the reader's frame.
STEP, COUNT, FREED, HEAD, HELD, DONE = range(6)

# Columns of `stats`: cycles of each kind, of which every cycle is one, and the capacity that was used.
FIRED, BLOCKED, STARVED, MARK = range(4)

# Entries of `ends`: the network's source and sink.
(
    CYCLE, SENT, RECEIVED, FIRST_IN, FIRST_OUT, OFFERING, SUPPLY, TARGET, SETTLE, QUIET, DRY, SLOTS, BATCH,
    FIRST, LAST,
) = range(15)  # fmt: skip


@njit(cache=True)
def run(table, ports, flags, reads, frees, state, stages, stats, ends, idle, back, at, budget, valid, ready):
    """Cycles until `ends[TARGET]` beats are received, `budget` cycles are over, or nothing can move any more,
    which sets ends[QUIET].

    idle, back   uint8, repeated: pauses of source and sink; `at` is the cycle of their entry 0
    SETTLE       1: stop at the first cycle in which nothing moves; 0: at the first one in which, besides, the
                 sink is ready and the source offers or has no more
    SLOTS, BATCH beat n is offered in cycle n * SLOTS / BATCH at the earliest, unless SLOTS is 0
    DRY          set where the source would have offered if it had more
    """
    parts = len(table)
    first, last = ends[FIRST], ends[LAST]
    end = ends[CYCLE] + budget
    while ends[RECEIVED] < ends[TARGET] and ends[CYCLE] < end:
        cycle = ends[CYCLE]
        if not ends[OFFERING] and not idle[(cycle - at) % len(idle)]:
            if ends[SENT] >= ends[SUPPLY]:
                ends[DRY] = 1
            elif ends[SENT] * ends[SLOTS] <= cycle * ends[BATCH]:
                ends[OFFERING] = 1
        valid[first] = ends[OFFERING]
        ready[last] = 1 - back[(cycle - at) % len(back)]

        for p in range(parts):
            kind = table[p, KIND]
            out = table[p, OUT]
            if kind <= BUFFERED:
                valid[ports[out]] = stages[table[p, STAGES] + state[p, HEAD]]
            elif kind == FIFO:
                valid[ports[out]] = state[p, COUNT] > 0
            elif kind == FORK:
                offered = valid[ports[table[p, IN]]]
                for k in range(table[p, OUTS]):
                    valid[ports[out + k]] = offered & (1 - (state[p, DONE] >> k & 1))
            else:
                every = 1
                for k in range(table[p, INS]):
                    every &= valid[ports[table[p, IN] + k]]
                valid[ports[out]] = every

        # Readiness needs the registers of the part and what comes from behind it, so that a part's registers
        # can take their next values as soon as its inputs' ready is known.
        moved = False
        for p in range(parts - 1, -1, -1):
            kind = table[p, KIND]
            way = table[p, IN]
            out = ports[table[p, OUT]]
            if kind <= BUFFERED:
                slot = table[p, STAGES] + state[p, HEAD]
                full = stages[slot]
                advance = ready[out] or not full
                step = state[p, STEP]
                place = table[p, PROGRAM] + step
                offered = table[p, INS] > 0 and valid[ports[way]] == 1
                if kind == STEPS:
                    if table[p, INS] > 0:
                        ready[ports[way]] = advance and (flags[place] & TAKES) != 0
                    able = offered or (flags[place] & NEEDS) == 0
                else:
                    used = state[p, COUNT] - state[p, FREED]
                    room = used < table[p, CAPACITY]
                    ready[ports[way]] = room
                    able = reads[place] < 0 or state[p, COUNT] > reads[place]
                    if offered and room:
                        state[p, COUNT] += 1
                        stats[p, MARK] = max(stats[p, MARK], used + 1)
                        moved = True
                fire = advance and able
                if advance:
                    moved |= state[p, HELD] > 0
                    entering = 1 if fire and (flags[place] & EMITS) != 0 else 0
                    state[p, HELD] += entering - full
                    stages[slot] = entering
                    state[p, HEAD] = (state[p, HEAD] + 1) % table[p, DEPTH]
                if fire:
                    moved = True
                    step += 1
                    if kind == BUFFERED:
                        state[p, FREED] = frees[place]
                    if step == table[p, LENGTH]:
                        step = 0
                        state[p, COUNT] -= table[p, BEATS]
                        state[p, FREED] -= table[p, BEATS]
                    state[p, STEP] = step
                stats[p, FIRED if fire else STARVED if advance else BLOCKED] += 1
            elif kind == FIFO:
                held = state[p, COUNT]
                room = held < table[p, CAPACITY]
                ready[ports[way]] = room
                taken = valid[ports[way]] == 1 and room
                given = held > 0 and ready[out] == 1
                if taken:
                    stats[p, MARK] = max(stats[p, MARK], held + 1)
                state[p, COUNT] += (1 if taken else 0) - (1 if given else 0)
                moved |= taken or given
                stats[p, FIRED if given else BLOCKED if held > 0 else STARVED] += 1
            elif kind == FORK:
                offered = valid[ports[way]] == 1
                done = state[p, DONE]
                ways = table[p, OUTS]
                for k in range(ways):
                    if ready[ports[table[p, OUT] + k]]:
                        moved |= offered and (done >> k & 1) == 0
                        done |= 1 << k
                every = done == (1 << ways) - 1
                ready[ports[way]] = every
                if offered:
                    state[p, DONE] = 0 if every else done
                stats[p, STARVED if not offered else FIRED if every else BLOCKED] += 1
            else:
                here = 0
                for k in range(table[p, INS]):
                    here += valid[ports[way + k]]
                for k in range(table[p, INS]):
                    others = here - valid[ports[way + k]] == table[p, INS] - 1
                    ready[ports[way + k]] = ready[out] == 1 and others
                every = here == table[p, INS]
                moved |= every and ready[out] == 1
                stats[p, STARVED if not every else FIRED if ready[out] else BLOCKED] += 1

        if valid[last]:
            if ends[FIRST_OUT] < 0:
                ends[FIRST_OUT] = cycle
            if ready[last]:
                ends[RECEIVED] += 1
                moved = True
        fixed = ends[OFFERING] == 1 or ends[SENT] >= ends[SUPPLY]
        if ends[OFFERING] and ready[first]:
            if ends[FIRST_IN] < 0:
                ends[FIRST_IN] = cycle
            ends[SENT] += 1
            ends[OFFERING] = 0
            moved = True
        ends[CYCLE] = cycle + 1
        if not moved and (ends[SETTLE] == 1 or (fixed and ready[last] == 1)):
            ends[QUIET] = 1
            return


def bits(pauses: np.ndarray) -> np.ndarray:
    """Pauses as `run` takes them."""
    return np.ascontiguousarray(pauses, np.uint8)
