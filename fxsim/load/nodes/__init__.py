"""What each op of a model file means: handlers in the table of fxsim.load.loader, one idea a module."""

from fxsim.load.loader import HANDLERS
from fxsim.load.nodes import conv, dense, join, pool, qdq, qlinear, quant, wiring

# Importing a module of handlers fills the table; a new op is one function in one of them.
MODULES = (conv, dense, join, pool, qdq, qlinear, quant, wiring)


def supported() -> tuple[str, ...]:
    """The ops with a handler, sorted; any standard op on constants is folded besides."""
    return tuple(sorted(HANDLERS))
