"""What each aten op is in ONNX's vocabulary: translators in the table of fxsim.load.torch.program."""

from importlib import import_module
from pkgutil import iter_modules

MODULES = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}
