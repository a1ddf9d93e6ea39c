"""The page on choosing names every unit of the library, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from fxsim.iterate import zoo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "iteration-choose.md"


def test_every_unit_is_on_the_page() -> None:
    made = {name for module in zoo._MODULES.values() for name in module.__all__}
    assert set(re.findall(r"`zoo\.(\w+)`", PAGE.read_text(encoding="utf-8"))) == made


def test_every_module_says_what_it_is_and_has_an_example() -> None:
    for name in zoo.names():
        assert zoo.about(name).endswith(".")
        example = zoo.example(name)
        rows = example.solve().steps.shape
        assert rows and rows[0] >= 8, f"{name} has {rows} problems"
