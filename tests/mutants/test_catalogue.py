"""The catalogue fits the code: every text to change stands once, every named test exists. The run itself is a
script."""

from __future__ import annotations

import pytest

from tests.mutants.__main__ import ROOT, check
from tests.mutants.catalogue import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_mutant_can_be_applied(mutant: Mutant) -> None:
    check(mutant)
    assert mutant.old != mutant.new
    assert all((ROOT / t).is_file() for t in mutant.tests)


def test_names_are_unique() -> None:
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 15
