"""The library's units as Verilog and as C++ are the emulator's, in states, steps and status."""

from __future__ import annotations

import pytest
import zoo_readings

from fxsim.iterate import zoo

NAMES = zoo.names()


@pytest.mark.parametrize("name", NAMES)
def test_verilog(name: str) -> None:
    """By turns with one slot and with several."""
    zoo_readings.check(name, (None, 8)[NAMES.index(name) % 2])


@pytest.mark.parametrize("name", ["hopfield", "linear", "newton"])
def test_in_cocotb_with_pauses(name: str) -> None:
    zoo_readings.check(name, 8, "cocotb")


@pytest.mark.parametrize("name", NAMES)
def test_cpp(name: str) -> None:
    zoo_readings.check_cpp(name)
