"""The page about loading shows what the code does."""

from __future__ import annotations

import doctest
from pathlib import Path

from fxsim.load.loader import HANDLERS
from fxsim.load.nodes import supported

PAGE = Path(__file__).parents[2] / "docs" / "loading.md"


def test_examples_print_what_the_page_says() -> None:
    try:
        failures, examples = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    finally:
        HANDLERS.pop("Hardmax", None)
    assert examples > 0
    assert failures == 0


def test_every_handled_op_is_in_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Ops") : text.index("## Errors")]
    assert [op for op in supported() if op not in table] == []
