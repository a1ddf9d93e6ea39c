"""Random networks under random schedules: every beat by the parts' words, the hardware in two simulators."""

from __future__ import annotations

import pytest

import rtl
from rtl.stream.pipe import Pipe
from rtl.stream.trim import Trim
from tests.schedule import cases
from tests.schedule.beat_reading import part_reading
from tests.schedule.bundle import Bundle

BATCH = 75
HARDWARE = range(1000, 1036)
BUNDLES = 3
OF_BUNDLE = 7
SMALL = 6000  # register bits of a network that is compiled


@pytest.mark.parametrize("start", range(0, 4 * BATCH, BATCH))
def test_networks_beat_by_beat(start: int) -> None:
    """Codes and types of every stream, and no deadlock under any stalls; every kind of part is met."""
    seen, refusals = set(), []
    for seed in range(start, start + BATCH):
        case = cases.made(seed)
        core = cases.built(case)
        if isinstance(core, str):
            refusals.append(core)
            continue
        cases.read(case, core)
        seen |= {type(p) for p in core.network.parts}
    assert len(refusals) < BATCH // 3
    assert seen | {Trim} == set(part_reading.registry) - {object}  # `Trim` has tests of its own


@pytest.mark.parametrize("start", range(0, 200, 100))
def test_any_ops_along_any_axes(start: int) -> None:
    """The random graphs of all readings, codes of more than 64 bits among them."""
    found = refusals = streams = 0
    for seed in range(start, start + 100):
        case = cases.arranged(seed)
        if case is None:
            continue
        core = cases.built(case)
        if isinstance(core, str):
            refusals += 1
            continue
        cases.read(case, core)
        found, streams = found + 1, streams + (core.beats_in > 1)
    assert refusals < 10 and found > 75 and streams > 15


@pytest.mark.parametrize("seed", HARDWARE)
def test_networks_in_amaranth(seed: int) -> None:
    """Codes and cycles, each under one pattern of stalls and without."""
    case = cases.made(seed, 3)
    core = cases.built(case)
    if isinstance(core, str):
        assert cases.refused(core)
        return
    cases.simulated(case, core, "amaranth", list(cases.STALLS)[seed % len(cases.STALLS)])


def test_most_networks_of_the_simulations_are_built() -> None:
    refused = sum(isinstance(cases.built(cases.made(seed)), str) for seed in HARDWARE)
    assert refused < len(HARDWARE) // 3


@pytest.mark.parametrize("number", range(BUNDLES))
def test_networks_in_verilator(number: int) -> None:
    """Codes and cycles under every pattern of stalls, some networks to a build."""
    chosen: list[tuple[cases.Case, rtl.StreamCore]] = []
    seed = 2000 + 100 * number
    while len(chosen) < OF_BUNDLE:
        case = cases.made(seed, 6)
        core = cases.built(case)
        if not isinstance(core, str) and core.registers < SMALL:
            chosen.append((case, core))
        seed += 1
    bundle = Bundle([core for _, core in chosen], f"bundle_{number}")
    for k, (case, core) in enumerate(chosen):
        try:
            for idle, backpressure in cases.STALLS.values():
                found = bundle.run(k, case.raw, idle, backpressure, seed)
                assert not found.mismatches, str(found.first)
                model = core.model.run(len(case.raw[0]), idle, backpressure, seed)
                assert (found.cycles, found.latency) == (model.cycles, model.latency)
        except Exception as error:
            cases.told(case, error)
            raise


def test_the_same_seed_gives_the_same_network() -> None:
    a, b = cases.made(7), cases.made(7)
    assert a.graph == b.graph and a.schedule == b.schedule
    assert a.graph != cases.made(8).graph


def test_pipes_of_different_schedules_compute_the_same() -> None:
    """One network under every schedule that it can have."""
    case = next(c for c in map(cases.made, range(400)) if c.graph.blocks and c.graph.inputs[0].type.size > 30)
    found = 0
    for schedule in ("streamed", "streamed(2)", "streamed(row)", "folded(1)", "folded(2)", "folded(3)"):
        again = case._replace(schedule=schedule)
        core = cases.built(again)
        if not isinstance(core, str):
            assert any(isinstance(p, Pipe) for p in core.network.parts)
            cases.read(again, core)
            found += 1
    assert found >= 3
