"""The library: units with their references, certificates and examples, one idea a file.

Every module here lists in `__all__` the functions that make a unit, and has `example()`; a file that is put
beside them is found by itself.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

_MODULES = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}

# After the imports: a function wins over the module of its name.
globals().update({name: getattr(module, name) for module in _MODULES.values() for name in module.__all__})


def names() -> list[str]:
    """The modules of the library."""
    return sorted(_MODULES)


def about(name: str) -> str:
    """The one sentence of a module. ValueError for a name that there is not."""
    return (_module(name).__doc__ or "").strip().splitlines()[0]


def example(name: str) -> Any:
    """The example of a module, a `fxsim.iterate.example.Example`. ValueError for a name that there is not."""
    return _module(name).example()


def _module(name: str) -> Any:
    if name not in _MODULES:
        raise ValueError(f"unit must be one of {', '.join(names())}, not {name!r}")
    return _MODULES[name]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"the library has no unit {name!r}: it has {', '.join(names())}")
