"""The rules of hls4ml's layers, one file for each kind of arithmetic; importing this fills the table."""

from importlib import import_module
from pkgutil import iter_modules

MODULES = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}
