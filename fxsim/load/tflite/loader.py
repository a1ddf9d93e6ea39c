"""One pass over a TFLite file's operators: what each tensor became, and the table {operator: handler}."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxsim.boundary import Affine, QuantEncoder
from fxsim.formats import Format
from fxsim.graph import Graph, Name
from fxsim.integers import Array
from fxsim.load.tflite.flatfile import FileModel, FileOp, FileTensor
from fxsim.load.tflite.remedies import FLOAT_REMEDY, OTHER_TYPES, advice
from fxsim.load.tflite.symbols import CODES, UNSIGNED, Codes, Decoded, Fixed, Quant, Real, Symbol
from fxsim.trace import Builder, Tensor
from fxsim.types import TensorType

MOST_ELEMENTS = 1 << 23  # of one tensor; what a damaged size would ask for is refused before it is built


class Loader:
    """The state of one load: the file, the graph under construction, and what each tensor became."""

    def __init__(self, file: FileModel, input: Format | None, rescale: str) -> None:
        self.file, self.input, self.rescale = file, input, rescale
        self.builder = Builder(file.name)
        self.symbols: dict[int, Symbol] = {t.index: Fixed(t.data) for t in file.tensors if t.data is not None}
        first = file.tensors[file.inputs[0]].shape if file.inputs else ()
        self.batch = first[0] if len(first) > 1 else 1
        self._encoded: dict[int, tuple[QuantEncoder, Tensor]] = {}
        self._blocks: set[str] = set()

    def graph(self) -> Graph:
        """Read every operator in order and close the graph at the file's outputs."""
        for i in self.file.inputs:
            self._enter(self.file.tensors[i])
        for op in self.file.operators:
            self._read(op)
        ends = [self._output(i) for i in self.file.outputs]
        place = {self.file.tensors[i].name: k for k, i in enumerate(self.file.inputs)}
        pairs = sorted(
            zip(self.builder.inputs, self.builder.encoders, strict=True), key=lambda p: place[p[0].name]
        )
        self.builder.inputs = [i for i, _ in pairs]
        self.builder.encoders = [e for _, e in pairs]
        names: list[str] = []
        for i in self.file.outputs:
            name = self.file.tensors[i].name
            while name in names:
                name = f"{name}_{len(names)}"
            names.append(name)
        return self.builder.finish([t for t, _ in ends], names, [a for _, a in ends])

    def _enter(self, t: FileTensor) -> None:
        """An input of the file: codes, or reals that wait for their QUANTIZE."""
        if t.open:
            raise ValueError(
                f"input {t.name!r} has a dynamic shape (axes {list(t.open)} are open); only the batch may be "
                "open: convert with a fixed input shape"
            )
        if t.type == "FLOAT32":
            self.symbols[t.index] = Real(t.index)
            reason = "a real-valued input: the host applies the QUANTIZE after it"
            self.builder.names[t.name] = Name(None, reason=reason)
            return
        if t.type not in ("INT8", "UINT8"):
            raise NotImplementedError(
                f"input {t.name!r} {OTHER_TYPES.get(t.type, f'has type {t.type}; give it int8 or float32')}"
            )
        from fxsim.load.tflite.convert import quantized_input

        q = self.quant(t.index, f"input {t.name!r}", True)
        self.symbols[t.index] = codes = quantized_input(self, t, q)
        if t.name not in self.builder.names:
            self.builder.names[t.name] = Name(codes.tensor.node, q.affine)

    def _read(self, op: FileOp) -> None:
        if op.op not in HANDLERS:
            raise NotImplementedError(f"{op} has no handler; {advice(op.op, sorted(HANDLERS))}")
        missing = [i for i in op.inputs if i != -1 and i not in self.symbols]
        if missing:
            t = self.file.tensors[missing[0]]
            what = "is a state that the model keeps between calls" if t.variable else "is never computed"
            raise ValueError(f"{op} reads {t}, which {what}; convert a model without state, in order")
        try:
            results = HANDLERS[op.op](self, op)
        except NotImplementedError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError) as e:
            text = str(e) if isinstance(e, ValueError) else f"{type(e).__name__}: {e}"
            raise ValueError(text if text.startswith(str(op)) else f"{op}: {text}") from e
        found = results if isinstance(results, tuple) else (results,)
        if len(found) != len(op.outputs):
            raise self.error(
                op, f"has {len(op.outputs)} outputs, not {len(found)}", "convert the model again"
            )
        for i, symbol in zip(op.outputs, found, strict=True):
            self._define(i, symbol)

    def _define(self, index: int, symbol: Symbol) -> None:
        t = self.file.tensors[index]
        self.symbols[index] = symbol
        if isinstance(symbol, Decoded):
            self.builder.names[t.name] = Name(symbol.codes.tensor.node, symbol.affine)
        elif isinstance(symbol, Codes):
            affine = Affine() if t.quantization is None else self.quant(index, str(t), True).affine
            self.builder.names[t.name] = Name(symbol.tensor.node, affine)

    def _output(self, index: int) -> tuple[Tensor, Affine]:
        t, symbol = self.file.tensors[index], self.symbols.get(index)
        if isinstance(symbol, Decoded):
            return symbol.codes.tensor, symbol.affine
        if isinstance(symbol, Codes):
            return symbol.tensor, self.builder.names[t.name].affine
        what = (
            "a constant"
            if isinstance(symbol, Fixed)
            else "an input that nothing quantizes"
            if symbol
            else "never computed"
        )
        raise ValueError(f"output {t.name!r} is {what}; convert a model whose outputs follow from int8 codes")

    # What handlers ask for

    def error(self, op: FileOp, what: str, remedy: str) -> ValueError:
        """A ValueError that names the operator and says what to do."""
        return ValueError(f"{op} {what}; {remedy}")

    def tensor(self, op: FileOp, position: int, output: bool = False) -> FileTensor:
        """The file's tensor at an operand (or output) position."""
        of = op.outputs if output else op.inputs
        if position >= len(of) or of[position] == -1:
            kind = "outputs" if output else "inputs"
            raise self.error(
                op, f"has {len(of)} {kind}, and lacks number {position}", "convert the model again"
            )
        return self.file.tensors[of[position]]

    def has(self, op: FileOp, position: int) -> bool:
        """Is there an operand at this position?"""
        return position < len(op.inputs) and op.inputs[position] != -1

    def quant(self, index: int, where: str, unsigned: bool = False) -> Quant:
        """Scale and zero point of an int8 (or also uint8) tensor; errors name the tensor."""
        t = self.file.tensors[index]
        bounds = UNSIGNED if unsigned and t.type == "UINT8" else CODES
        if t.type != "INT8" and bounds is CODES:
            raise NotImplementedError(
                f"{where}: {t} {OTHER_TYPES.get(t.type, f'has type {t.type}, not INT8')}"
            )
        q = t.quantization
        if q is None:
            raise ValueError(f"{where}: {t} has no scale; {FLOAT_REMEDY}")
        if len(q.scale) != 1:
            raise ValueError(f"{where}: {t} must have one scale, not {len(q.scale)}; only weights have more")
        scale, zero = q.scale[0], int(q.zero[0])
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(
                f"{where}: scale of {t} must be positive and finite, not {scale}; calibrate it again"
            )
        if not bounds[0] <= zero <= bounds[1]:
            raise ValueError(
                f"{where}: zero point of {t} must lie in {bounds[0]}..{bounds[1]}, not {zero}; "
                "calibrate it again"
            )
        return Quant(scale, zero, bounds)

    def operand(self, op: FileOp, position: int, unsigned: bool = False) -> tuple[Codes, Quant]:
        """The activation at a position, with scale and zero point; errors for reals and constants."""
        codes = self.codes(op, position)
        return codes, self.quant(op.inputs[position], str(op), unsigned)

    def codes(self, op: FileOp, position: int) -> Codes:
        """The activation at a position, of whatever integer type."""
        t = self.tensor(op, position)
        symbol = self.symbols[t.index]
        if isinstance(symbol, Codes):
            return symbol
        if isinstance(symbol, Fixed):
            raise self.error(
                op, f"has a constant, {t}, as its operand {position}", "fold the constants before conversion"
            )
        if isinstance(symbol, Decoded):
            raise NotImplementedError(
                f"{op} computes in float on {t}, after DEQUANTIZE; leave it away, or convert it to int8 too "
                "(inference_output_type = tf.int8)"
            )
        raise NotImplementedError(f"{op} computes in float on {t}; {FLOAT_REMEDY}")

    def result(self, op: FileOp, unsigned: bool = False) -> Quant:
        """Scale and zero point of the operator's first output."""
        return self.quant(op.outputs[0], str(op), unsigned)

    def fixed(self, op: FileOp, position: int, what: str) -> Array:
        """The constant at a position; a ValueError says that it is computed from the input."""
        symbol = self.symbols[self.tensor(op, position).index]
        if isinstance(symbol, Fixed):
            return symbol.values
        raise self.error(op, f"needs a constant {what}", f"convert a model with a constant {what}")

    def whole(self, op: FileOp, position: int, what: str) -> tuple[int, ...]:
        """A constant of integers (axes, shapes, paddings) as a flat tuple."""
        values = self.fixed(op, position, what)
        if values.dtype.kind not in "iu":
            raise self.error(op, f"has a {what} of {values.dtype}", "use int32 or int64")
        return tuple(int(v) for v in values.ravel())

    def shape(self, x: Codes) -> tuple[int, ...]:
        """The file's shape of an activation."""
        return ((self.batch,) if x.lead else ()) + x.tensor.shape

    def axis(self, op: FileOp, x: Codes, axis: int) -> int:
        """The graph tensor's axis of a file axis; a ValueError for the batch."""
        rank = len(self.shape(x))
        if not -rank <= axis < rank:
            raise self.error(op, f"has axis {axis} for {rank} axes", "convert the model again")
        own = axis % rank - x.lead
        if own < 0:
            raise self.error(op, "works along the batch axis", "keep samples apart: use axes from 1 on")
        return own

    def room(self, op: FileOp, *sizes: int) -> None:
        """ValueError where a tensor of these sizes is beyond what a graph can hold."""
        total = int(np.prod(sizes, dtype=object))
        if total > MOST_ELEMENTS:
            raise self.error(
                op,
                f"makes {total} elements",
                f"use a smaller input: one tensor has at most {MOST_ELEMENTS}",
            )

    def block_name(self, label: str) -> str:
        """A unique name for a block."""
        name, n = label, 1
        while name in self._blocks:
            n += 1
            name = f"{label}_{n}"
        self._blocks.add(name)
        return name

    def enter(self, t: FileTensor, q: Quant, encoder: QuantEncoder) -> Tensor:
        """The graph's input for a tensor of the file, made once; the host quantizes by `encoder`."""
        if t.index not in self._encoded:
            self.room_of(t)
            shape = t.shape[1:] if len(t.shape) > 1 else t.shape
            lo, hi = (np.full(shape, v, np.int64) for v in q.bounds)
            self._encoded[t.index] = (
                encoder,
                self.builder.input(t.name, TensorType(shape, 0, lo, hi), encoder),
            )
        known, tensor = self._encoded[t.index]
        if known != encoder:
            raise ValueError(f"input {t.name!r} is quantized in two ways; give the model one QUANTIZE for it")
        return tensor

    def room_of(self, t: FileTensor) -> None:
        """ValueError for an input too large to be one."""
        if int(np.prod(t.shape, dtype=object)) > MOST_ELEMENTS or 0 in t.shape:
            raise ValueError(
                f"input {t.name!r} has shape {t.shape}; it must have 1 to {MOST_ELEMENTS} elements"
            )


Handler = Callable[[Loader, FileOp], "Symbol | tuple[Symbol, ...]"]
HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Handler], Handler]:
    """Decorator: the handler of these operators, handler(loader, op) -> Symbol or one per output."""

    def add(fn: Handler) -> Handler:
        for name in names:
            if name in HANDLERS:
                raise ValueError(f"operator {name!r} already has a handler")
            HANDLERS[name] = fn
        return fn

    return add
