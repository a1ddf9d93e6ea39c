"""The handshake of a part that works step by step in front of a short pipeline (`control.Steps`)."""

from __future__ import annotations

from typing import Any, NamedTuple

from rtl.emit import Writer


class Flow(NamedTuple):
    """advance enables every register of the pipeline; fire says that the current step is done in this cycle;
    valid[k] that stage k holds a beat."""

    advance: Any
    fire: Any
    valid: Any


def flow(w: Writer, depth: int, needs: Any = None, takes: Any = None, emits: Any = None) -> Flow:
    """Writes the handshake between streams i and o; conditions are one-bit vectors, None means always.

    Drives i__ready and o__valid. needs, takes and emits depend on registers only.
    """
    one = w.constant(1, 1)
    needs, takes, emits = (one if v is None else v for v in (needs, takes, emits))
    offered, ready = w.pin("i__valid", 1), w.pin("o__ready", 1)
    valid = w.flop("valid", depth)
    last = w.cut(valid, depth - 1, depth)
    advance = w.wire("advance", w.bitwise("or", ready, w.invert(last)))
    w.drive("i__ready", w.bitwise("and", advance, takes))
    w.drive("o__valid", last)
    able = w.wire("able", w.bitwise("or", offered, w.invert(w.wire("needs", needs))))
    fire = w.wire("fire", w.bitwise("and", advance, able))
    entering = w.bitwise("and", fire, w.wire("emits", emits))
    w.load("valid", w.join(entering, w.cut(valid, 0, depth - 1)), advance, True)
    return Flow(advance, fire, valid)


def counter(w: Writer, name: str, count: int, enable: Any) -> tuple[Any, Any]:
    """(value, last) of a register that counts 0..count-1 in turn where `enable`; `last` is one bit.

    A counter of one value has no register: value is the constant 0 of one bit, last is 1.
    """
    if count == 1:
        return w.constant(0, 1), w.constant(1, 1)
    width = (count - 1).bit_length()
    value = w.flop(name, width)
    last = w.wire(f"{name}_last", w.equal(value, w.constant(count - 1, width)))
    nxt = w.wire(f"{name}_next", w.add(value, w.constant(1, width)))
    w.load(name, w.pick(last, w.constant(0, width), nxt), enable, True)
    return value, last
