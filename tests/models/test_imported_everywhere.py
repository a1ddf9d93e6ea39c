"""A Keras network of HGQ2 layers and a public binary network: emulator = Verilog = HLS C simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxsim.data import digits_keras
from tests.models import everywhere

PUBLIC = Path(__file__).parents[1] / "load" / "data" / "public"
MODELS = {"HGQ2": digits_keras(), "TFC": PUBLIC / "TFC_1W1A.onnx.xz"}


@pytest.mark.parametrize("model", MODELS)
def test_verilog(model: str, tmp_path: Path) -> None:
    s = everywhere.subject(MODELS[model], tmp_path)
    assert len(s.want) == {"HGQ2": 2, "TFC": 4}[model] and len(s.raw) == 500
    assert everywhere.verilog(s) == {"native": 0, "cocotb": 0}


@pytest.mark.parametrize("model", MODELS)
def test_c_simulation(model: str, tmp_path: Path) -> None:
    s = everywhere.subject(MODELS[model], tmp_path)
    assert everywhere.c_simulation(s, tmp_path / "project") == 0
