"""What each aten op is in ONNX's vocabulary: translators in the table of fxsim.load.torch.program."""

from fxsim.load.torch.ops import arithmetic, products, quantizers, shapes, windows

MODULES = (arithmetic, products, quantizers, shapes, windows)
