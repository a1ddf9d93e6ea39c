"""Networks that a schedule once got wrong, kept as files and replayed for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtl.lower.names import KEYWORDS
from tests.schedule import cases

FILES = sorted(cases.SAVED.glob("*.fxs"))


def test_there_are_cases() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_saved(path: Path) -> None:
    case = cases.kept(path)
    core = cases.built(case)
    assert not isinstance(core, str), core
    cases.read(case, core)
    assert not {p.name for p in core.network.parts} & KEYWORDS
    cases.simulated(case, core, "amaranth", "random")


def test_a_failure_is_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "SAVED", tmp_path)
    case = cases.made(3)
    core = cases.built(case)
    assert not isinstance(core, str)
    monkeypatch.setattr(core, "beats_out", core.beats_out + 1)
    with pytest.raises(AssertionError) as caught:
        cases.read(case, core)
    (path,) = tmp_path.glob("*.fxs")
    assert path.name in caught.value.__notes__[0]
    again = cases.kept(path)
    assert again.graph == case.graph and again.schedule == case.schedule and again.seed == case.seed
    assert all((a == b).all() for a, b in zip(again.raw, case.raw, strict=True))

    unknown = case._replace(schedule="sideways")
    with pytest.raises(ValueError, match="schedule must be"):
        cases.built(unknown)
    assert len(list(tmp_path.glob("*.fxs"))) == 2
