"""`fxsim info`: every block of every kind of file says how it is exact; long names stay readable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fxsim
from fxsim.cli import main
from fxsim.cli.console import MOST_NAME, short
from fxsim.cli.exactness import how_exact
from fxsim.data import DIGITS, digits_keras, digits_model

TESTS = Path(__file__).parents[1]
FILES = [
    *map(digits_model, DIGITS),
    digits_keras(),
    TESTS / "load_tflite" / "data" / "kws_ref_model.tflite",
    *sorted((TESTS / "load_keras" / "data").glob("*.keras")),
]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_block_says_how_it_is_exact(path: Path) -> None:
    graph = fxsim.load(path)
    assert [(b.kind, b.name) for b in graph.blocks if not how_exact(graph, b)] == []


def test_words() -> None:
    graph = fxsim.load(digits_model(DIGITS[1]))
    texts = {b.name: how_exact(graph, b) for b in graph.blocks}
    assert texts["Quant_3_input"] == "wiring" and texts["MatMul_0"] == "exact integers"
    assert texts["Quant_4"].startswith("32 channels certified dyadic, multipliers ")
    assert texts["Quant_4"].endswith("; 3 reachable sums where a float32 reference may differ")


def test_long_names_lose_their_middle_in_tables_only(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(TESTS / "load_tflite" / "data" / "kws_ref_model.tflite")
    assert main(["info", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 150
    assert main(["info", path, "--json"]) == 0
    names = [t["tensor"] for t in json.loads(capsys.readouterr().out)["tensors"]]
    assert max(map(len, names)) > MOST_NAME and len(set(names)) == len(names)
    assert len(short(max(names, key=len))) in (MOST_NAME - 1, MOST_NAME) and short("a") == "a"
