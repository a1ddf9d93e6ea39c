"""What each op of a model file means: handlers in the table of fxsim.load.loader, one idea a module."""

from importlib import import_module
from pkgutil import iter_modules

from fxsim.load.table import supported as supported

# Importing a module of handlers fills the table: a new op is one function in one of the files here, and a new
# file is found by itself.
MODULES = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}
