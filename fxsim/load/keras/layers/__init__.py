"""Handlers of Keras' and HGQ2's layers, one file a family; importing the package fills the table."""

from importlib import import_module
from pkgutil import iter_modules

MODULES = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}
