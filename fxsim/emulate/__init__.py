"""The NumPy emulator: raw integers or real values through a graph, any batch."""

from fxsim.emulate.runner import codes, evaluate, run, run_raw
from fxsim.emulate.table import apply, numpy_rules

__all__ = ["apply", "codes", "evaluate", "numpy_rules", "run", "run_raw"]
