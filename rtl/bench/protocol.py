"""What both benches demand of a core beside its codes: handshake, progress, latency, and an end."""

from __future__ import annotations

from rtl.bench.patterns import Pattern

PATIENCE = 100_000
"""Clock cycles without a handshake on either stream after which a core counts as stuck, at full rate."""

FILL, HOLD = 48, 48
"""Clock cycles that words flow, at most, and then are held inside, before the reset in mid-stream."""

FAULTS = {
    1: "o__valid fell in cycle {cycle} although o__ready had not taken sample {sample}",
    2: "o__payload changed in cycle {cycle} while o__ready had not taken sample {sample}",
    3: "the core called $finish in cycle {cycle} after {sample} samples",
}


def bounds(
    n_in: int, n_out: int, sides: tuple[Pattern, Pattern], max_cycles: int | None, more: int = 0
) -> tuple[int, int]:
    """(most cycles, most cycles without a handshake) of a run; more pauses, more patience.

    more   cycles of patience beside PATIENCE, at full rate: of a core that rests for long between its beats
    """
    if max_cycles is not None and max_cycles < 1:
        raise ValueError(f"max_cycles must be at least 1, not {max_cycles!r}")
    patience = int((PATIENCE + more) / (sides[0].rate * sides[1].rate))
    if max_cycles is None:
        return patience * (n_in + n_out + 1), patience
    return max_cycles, max(patience, max_cycles)


def check_progress(
    cycles: int, sent: int, received: int, expected: int, last_progress: int, limit: int, patience: int
) -> None:
    """TimeoutError if a run that is not finished has reached its bound or stands still."""
    stuck = cycles - last_progress > patience
    if stuck or cycles >= limit:
        why = f"no handshake for {cycles - last_progress} cycles" if stuck else f"the bound is {limit} cycles"
        raise TimeoutError(
            f"the core gave {received} of {expected} samples in {cycles} clock cycles, "
            f"having taken {sent}: {why}"
        )


def drain_cycles(latency: int) -> int:
    """Clock cycles to watch for surplus outputs after the last expected one."""
    return min(4096, 2 * max(latency, 0) + 16)


def filling(words: int, fill: int | None) -> int:
    """Clock cycles that words flow before the reset in mid-stream."""
    return min(FILL, words // 2) if fill is None else fill


def fault_text(fault: int, cycle: int, sample: int) -> str:
    return FAULTS[fault].format(cycle=cycle, sample=sample)


def latency(first_in: int, first_out: int) -> int:
    """Clock cycles from the first word taken to the first offered; -1 if either never came.

    A core without registers offers a word when it sees it, which under backpressure is before it takes it.
    """
    return max(0, first_out - first_in) if min(first_in, first_out) >= 0 else -1
