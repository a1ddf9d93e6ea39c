"""Which streamed axes survive a reshape: those that map to one axis, and neighbours that merge in raster
order."""

from __future__ import annotations

import math

from rtl.schedule.forms import Form


def reshaped(f: Form, shape: tuple[int, ...]) -> tuple[Form, tuple[int, ...]]:
    """(the form that the operand must have, the streamed axes of the result)."""
    lead = tuple(a for a in f.axes if f.shape[a] != 1)
    at: dict[int, int] = {}  # operand's axis -> result's axis, for axes that stay or merge
    last_of: dict[int, int] = {}
    for ins, outs in groups(f.shape, shape):
        if len(outs) != 1:
            continue
        wanted = [a for a in ins if a in lead]
        places = [lead.index(a) for a in wanted]
        in_turn = places == list(range(places[0], places[0] + len(places))) if places else False
        if wanted == ins and in_turn and not (len(ins) > 1 and f.ragged):
            at |= dict.fromkeys(ins, outs[0])
            last_of[outs[0]] = ins[-1]
    kept: list[int] = []
    result: list[int] = []
    k = 0
    while k < len(lead) and lead[k] in at:
        axis = at[lead[k]]
        group = [a for a in lead if at.get(a) == axis]
        kept += group
        result.append(axis)
        k += len(group)
    if tuple(kept) == lead:
        return f, tuple(result)
    upto = f.axes.index(kept[-1]) + 1 if kept else 0
    return Form(f.shape, f.axes[:upto]), tuple(result)


def groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The shortest runs of axes (longer than 1) of both shapes that hold equally many elements, in order."""
    ins, outs = [a for a, n in enumerate(before) if n != 1], [a for a, n in enumerate(after) if n != 1]
    found = []
    i = o = 0
    while i < len(ins) and o < len(outs):
        first, second = [ins[i]], [outs[o]]
        i, o = i + 1, o + 1
        while (x := math.prod(before[a] for a in first)) != (y := math.prod(after[a] for a in second)):
            if x < y:
                first.append(ins[i])
                i += 1
            else:
                second.append(outs[o])
                o += 1
        found.append((first, second))
    return found
