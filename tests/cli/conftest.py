"""A tiny saved graph, and the command line run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fxsim
from fxsim.cli import main


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs and two outputs of unlike formats, cheap to build: x signed 5 bits, u unsigned 3 bits."""
    folder = tmp_path_factory.mktemp("graph")
    graph = fxsim.trace(
        lambda x, u: (x * 3 + u, fxsim.maximum(x, u)),
        fxsim.SQ(2, 3), fxsim.UQ(1, 2), shape=(3,),
    )  # fmt: skip
    graph.with_name("tiny").save(folder / "tiny.fxs")
    return folder / "tiny.fxs"


@pytest.fixture
def data(capsys: pytest.CaptureFixture[str], build_cache: Path) -> Callable[..., Any]:
    """Run a command with --json: its exit status and its data, where standard output is JSON and no more."""

    def run(*argv: Any) -> tuple[int, Any]:
        capsys.readouterr()
        status = main([*map(str, argv), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run
