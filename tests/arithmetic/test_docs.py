"""The pages about arithmetic show what the code does."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["arithmetic.md", "fxarray.md"])
def test_examples_print_what_the_page_says(page: str) -> None:
    failures, examples = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
    assert examples > 0
    assert failures == 0
