"""Cases that a reading once got wrong, kept as files and replayed through every reading for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxsim.serialize import load
from tests.agreement import readings
from tests.agreement.random_graphs import random_graph, stimulus

FILES = sorted(readings.SAVED.glob("*.fxs"))
ALL = (readings.emulator, readings.amaranth, readings.cpp, readings.specification)


def test_there_are_cases() -> None:
    assert FILES


@pytest.mark.parametrize("reading", ALL, ids=lambda r: r.__name__)
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_saved(path: Path, reading: readings.Reading) -> None:
    graph, raw = readings.kept(path)
    if reading is readings.specification:
        raw = [r[:8] for r in raw]
    found = readings.disagreement(graph, readings.reference(graph, raw), reading(graph, raw))
    assert not found


def test_a_failure_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "SAVED", tmp_path)
    graph = random_graph(17)
    raw = stimulus(graph, 5)

    def wrong(graph: object, raw: list) -> list:
        return [r + (r.size > 0) for r in readings.emulator(graph, raw)]

    with pytest.raises(
        AssertionError, match=r"(?s)reading wrong: random_17: output y\d+ is .*saved as random_17_"
    ):
        readings.check(graph, raw, wrong)

    def broken(graph: object, raw: list) -> list:
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as caught:
        readings.check(graph, raw, broken)
    assert "reading broken of" in caught.value.__notes__[0]
    (path,) = tmp_path.glob("*.fxs")
    again, codes = readings.kept(path)
    assert again == graph == load(path)
    assert all((a == b).all() and a.dtype == b.dtype for a, b in zip(codes, raw, strict=True))
    assert any(c.dtype == object for c in codes)
