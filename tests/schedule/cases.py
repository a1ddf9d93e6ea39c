"""A network, a schedule and stimulus as a case: built, read beat by beat, refused, kept where it fails.

python -m tests.schedule.cases FIRST STOP [hardware] checks the random cases of these seeds, by hand.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import rtl
from fxsim import Graph
from fxsim.files import atomic_path, write_text
from fxsim.integers import Array
from fxsim.serialize import load, save
from rtl.bench import patterns
from tests.agreement.random_graphs import random_graph, stimulus
from tests.agreement.readings import integers
from tests.schedule.beat_reading import Reading
from tests.schedule.random_networks import random_case

SAVED = Path(__file__).parent / "saved"

REFUSALS = (
    r"pixels per clock must be ",
    r"pe of \w+ must ",
    r"schedule of block '\w+' must not be folded\(\d+\): ",
    r"inputs must have equally many beats to travel side by side, not .*; say along which axes they stream",
    r"output '\w+' must depend on an input to be streamed; it is a constant",
    r"kernel of \w+ must meet the image, but it lies in the padding everywhere",
)
"""Why a schedule can be refused, as the error says it."""

STALLS: dict[str, tuple[Any, Any]] = {
    "none": (0.0, 0.0),
    "random": (0.3, 0.4),
    "slow source": (patterns.bursts(1, 5), 0.0),
    "slow sink": (0.0, patterns.bursts(1, 5)),
    "long pauses of the source": (patterns.bursts(37, 90), 0.0),
    "long pauses of the sink": (0.0, patterns.bursts(23, 110)),
    "both in turns": (patterns.bursts(40, 40), patterns.bursts(17, 53)),
    "alternate": (patterns.every(2), patterns.every(2)),
    "gaps of a cycle": (patterns.every(5), patterns.every(7)),
}
"""(idle, backpressure)"""


class Case(NamedTuple):
    graph: Graph
    schedule: Any
    raw: list[Array]
    seed: int
    axes: Any = None


def made(seed: int, samples: int = 4) -> Case:
    graph, schedule = random_case(seed)
    return Case(graph, schedule, stimulus(graph, samples, seed), seed)


def arranged(seed: int, samples: int = 4) -> Case | None:
    """A random graph of any ops, streamed along any axes that its inputs can share; None where all of its
    outputs are constants."""
    rng, g = np.random.default_rng([5, seed]), random_graph(seed)
    kept = [k for k, o in enumerate(g.outputs) if o.type.size and not np.all(o.type.is_constant)]
    if not kept:
        return None
    outputs, names, affines = (
        tuple(a[k] for k in kept) for a in (g.outputs, g.output_names, g.output_affines)
    )
    g = dataclasses.replace(g, outputs=outputs, output_names=names, output_affines=affines)

    def orders(i: Any) -> list[tuple[int, ...]]:
        axes = range(i.type.ndim)
        return [p for n in range(i.type.ndim + 1) for p in itertools.permutations(axes, n)]

    def beats(i: Any, axes: tuple[int, ...]) -> int:
        return math.prod(i.type.shape[a] for a in axes)

    first = orders(g.inputs[0])
    count = beats(g.inputs[0], first[int(rng.integers(len(first)))])
    fits = {i.name: [p for p in orders(i) if beats(i, p) == count] for i in g.inputs}
    if not all(fits.values()):
        fits = {name: [()] for name in fits}
    axes = {name: found[int(rng.integers(len(found)))] for name, found in fits.items()}
    schedules = ("streamed", "streamed", "streamed(2)", "folded(1)", "folded(2)", "streamed(row)")
    return Case(g, schedules[int(rng.integers(6))], stimulus(g, samples, seed), seed, axes)


def built(case: Case) -> rtl.StreamCore | str:
    """The core, or the refusal: any other error is a fault, of a case that is kept."""
    try:
        core: Any = rtl.build(case.graph, schedule=case.schedule, axes=case.axes)
    except Exception as error:
        if isinstance(error, ValueError) and refused(str(error)):
            return str(error)
        told(case, error)
        raise
    return core


def refused(text: str) -> bool:
    return any(re.match(r, text) for r in REFUSALS)


def read(case: Case, core: Any) -> None:
    """Asserts that the network gives the emulator's codes, every stream within its type, and ends."""
    try:
        wrong = Reading(core, case.raw, case.seed).wrong()
        assert not wrong, wrong
        frames = len(case.raw[0])
        for idle, backpressure in STALLS.values():
            core.model.run(frames, idle, backpressure, case.seed)
    except Exception as error:
        told(case, error)
        raise


def simulated(case: Case, core: Any, simulator: str, stalls: str) -> None:
    """Asserts that a simulator of the hardware gives the emulator's codes, in the cycles of the model."""
    idle, backpressure = STALLS[stalls]
    try:
        v = rtl.verify(
            core, *case.raw, raw=True, simulator=simulator, idle=idle, backpressure=backpressure,
            seed=case.seed, check_cycles=True,
        )  # fmt: skip
        assert v, str(v)
        assert v.predicted_cycles == v.cycles
    except Exception as error:
        told(case, error)
        raise


def told(case: Case, error: Exception) -> None:
    path = keep(case)
    error.add_note(f"{case.graph.name}, schedule {case.schedule!r}, kept as {path.name}\n{case.graph}")


def keep(case: Case) -> Path:
    """Saves a case among those that test_schedule_saved.py replays; returns the graph's file."""
    SAVED.mkdir(exist_ok=True)
    options = {"schedule": case.schedule, "seed": case.seed, "axes": case.axes}
    text = json.dumps(options, indent=1, sort_keys=True)
    digest = hashlib.sha256((case.graph.digest() + text).encode()).hexdigest()[:8]
    path = SAVED / f"{case.graph.name}_{digest}.fxs"
    save(case.graph, path)
    write_text(path.with_suffix(".json"), text + "\n")
    arrays = {f"raw{i}": r.astype("U") if r.dtype == object else r for i, r in enumerate(case.raw)}
    with atomic_path(path.with_suffix(".npz")) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def kept(path: Path) -> Case:
    """A saved case by its graph's file."""
    graph, options = load(path), json.loads(path.with_suffix(".json").read_text())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
        raw = [integers(data[f"raw{i}"]) for i in range(len(graph.inputs))]
    return Case(graph, options["schedule"], raw, options["seed"], options.get("axes"))


def main(first: int, stop: int, hardware: bool) -> None:
    count = refusals = 0
    for seed in range(first, stop):
        case = made(seed)
        core = built(case)
        if isinstance(core, str):
            refusals += 1
            continue
        read(case, core)
        if hardware:
            simulated(case, core, "amaranth", list(STALLS)[seed % len(STALLS)])
        count += 1
    print(f"{count} networks are exact, {refusals} are refused")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["hardware"])
