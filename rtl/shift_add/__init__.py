"""Constant matrix product without multipliers: an integer matrix becomes shared adders over shifted wires."""

from __future__ import annotations

from .problem import Problem
from .result import Adder, AdderGraph, Output
from .solver import solve, solve_all

__all__ = ["Adder", "AdderGraph", "Output", "Problem", "solve", "solve_all"]
