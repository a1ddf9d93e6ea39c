"""One pass over a model file's nodes: what each tensor became."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from fxsim import ops
from fxsim.boundary import CodeEncoder, Encoder, FormatEncoder
from fxsim.formats import Format
from fxsim.graph import Graph, Name, Node, Op
from fxsim.host import SteppedEncoder
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.affine import Activation, Constant, Line, RealInput, Symbol, rewired
from fxsim.load.curves import tabulated
from fxsim.load.model import DEFAULT_DOMAIN, FileNode, Model
from fxsim.load.onnx_file import evaluate
from fxsim.load.sums import Sum
from fxsim.load.table import HANDLERS as HANDLERS
from fxsim.load.table import LINEAR_OPS, find, unknown
from fxsim.load.table import handles as handles
from fxsim.load.table import on_host as on_host
from fxsim.load.terms import Curve
from fxsim.trace import Builder, Tensor, maximum, minimum
from fxsim.types import TensorType

CLAMP_BITS = 128  # of the factors that make a clamp's bound a whole code


class Loader:
    """The state of one load: the file, the graph under construction, and what each tensor of the file became.

    Handlers return a Symbol per output: a Constant, the RealInput before the first quantizer, or an
    Activation.
    """

    def __init__(self, model: Model, input: Format | None, rescale: str) -> None:
        self.model, self.input, self.rescale = model, input, rescale
        self.builder = Builder(model.name)
        self.symbols: dict[str, Symbol] = {k: Constant(v) for k, v in model.constants.items()}
        self._codes: dict[str, tuple[Encoder, Tensor]] = {}
        self._blocks: set[str] = set()
        self.sums: dict[Node, Sum] = {}  # of what branches a tensor is the sum
        self.reasons: dict[str, str] = {}  # why these tensors of the file have no value of their own
        self.batch = model.inputs[0].shape[0] if model.inputs else 1

    def graph(self) -> Graph:
        """Read every node in order and close the graph at the file's outputs."""
        for i in self.model.inputs:
            shape = i.shape[1:]
            if i.bits:
                whole = Format(i.bits, i.bits, i.signed)
                tensor = self.builder.input(i.name, TensorType.of(whole, shape), FormatEncoder(whole))
                self.symbols[i.name] = Activation(tensor.named(i.name))
            elif self.input is None:
                if i.kind != "float":
                    raise ValueError(
                        f"input {i.name!r} must be float (32 bits) for its quantizer to be the host's, not "
                        f"{i.kind}; export it as float, or pass input=Format"
                    )
                self.symbols[i.name] = RealInput(i.name, shape, shape)
                reason = "a real-valued input: the host applies the quantizer after it"
                self.builder.names[i.name] = Name(None, reason=reason)
            else:
                tensor = self.builder.input(
                    i.name, TensorType.of(self.input, shape), FormatEncoder(self.input)
                )
                self.symbols[i.name] = Activation(tensor.named(i.name))
        for node in self.model.nodes:
            self._read(node)
        self._sort_inputs()
        outputs = [self._output(name) for name in self.model.outputs]
        affines = [o.affine() for o in outputs]
        return self.builder.finish([o.tensor for o in outputs], self.model.outputs, affines)

    def _sort_inputs(self) -> None:
        """The graph's inputs in the file's order, in which users give samples, not their quantizers'."""
        place = {i.name: k for k, i in enumerate(self.model.inputs)}
        both = zip(self.builder.inputs, self.builder.encoders, strict=True)
        pairs = sorted(both, key=lambda pair: place[pair[0].name])
        self.builder.inputs = [i for i, _ in pairs]
        self.builder.encoders = [e for _, e in pairs]

    def _read(self, node: FileNode) -> None:
        operands = [self.symbols[n] if n else None for n in node.inputs]
        fixed = [o for o in operands if isinstance(o, Constant)]
        foldable = bool(fixed) and len(fixed) == len(operands) and node.domain in DEFAULT_DOMAIN
        # Wiring keeps the integers of quantized constants; quantizers make them.
        kept = node.op in LINEAR_OPS or (node.op in WIRING and any(c.codes is not None for c in fixed))
        if foldable and not kept:
            self._fold(node, [c.values for c in fixed])
            return
        handler = find(node, any(isinstance(o, RealInput) for o in operands))
        if handler is None:
            raise unknown(node)
        try:
            result = handler(self, node, operands)
        except (NotImplementedError, ImportError):
            raise
        except ValueError as e:
            if str(e).startswith(str(node)):
                raise
            raise ValueError(f"{node}: {e}") from e
        except Exception as e:  # attributes of other types, lists too short: what no handler expects
            raise ValueError(
                f"{node} has inputs or attributes that do not fit its op ({type(e).__name__}: {e}); export "
                "it again"
            ) from e
        results = result if isinstance(result, tuple) else (result,)
        if any(node.outputs[len(results) :]):
            raise self.error(
                node, f"has {len(node.outputs)} outputs", "export the model for inference, one output a node"
            )
        for name, symbol in zip(node.outputs, results, strict=False):
            if name:
                self._define(node, name, operands, symbol)

    def _fold(self, node: FileNode, operands: list[Array]) -> None:
        try:
            results = evaluate(node, operands, self.model.opset)
        except Exception as e:  # whatever the reference evaluator finds wrong with the node
            raise self.error(node, f"cannot be folded: {e}", "fold the constants before export") from e
        for name, value in zip(node.outputs, results, strict=True):
            self.symbols[name] = Constant(value)

    def _define(self, node: FileNode, name: str, operands: list[Symbol | None], result: Symbol) -> None:
        """Bind an output of the node, and name it if it is an activation."""
        self.symbols[name] = result
        if isinstance(result, RealInput):
            self.builder.names[name] = Name(
                None, reason="real-valued: the host applies the quantizer after it"
            )
        elif isinstance(result, Curve):
            reason = f"{node.op} is built into the quantizer after it, as a function of the codes before it"
            self.builder.names[name] = Name(None, reason=reason)
        elif isinstance(result, Activation):
            sources = [o.tensor.node for o in operands if isinstance(o, Activation)]
            folded = result.tensor.node in sources and node.op not in WIRING | ALIASES
            if name in self.reasons:
                self.builder.names[name] = Name(None, reason=self.reasons[name])
            elif folded or result.clamped:
                reason = (
                    f"{node.op} is folded into what follows: a quantizer's steps or the host's output scale"
                )
                self.builder.names[name] = Name(None, reason=reason)
            else:
                self.builder.names[name] = Name(result.tensor.node, result.affine())

    def _output(self, name: str) -> Activation:
        symbol = self.symbols[name]
        if isinstance(symbol, Curve):
            return self._tabulated(next(n for n in self.model.nodes if name in n.outputs), symbol)
        if not isinstance(symbol, Activation):
            kind = (
                "a constant" if isinstance(symbol, Constant) else "real-valued: no quantizer stands before it"
            )
            raise ValueError(
                f"output {name!r} is {kind}; a graph starts at the file's first Quant, or pass input=Format"
            )
        if symbol.clamped:
            node = next(n for n in self.model.nodes if name in n.outputs)
            return self.materialised(node, symbol)
        return symbol

    def error(self, node: FileNode, what: str, remedy: str) -> ValueError:
        """A ValueError that names node and op and says what to do."""
        return ValueError(f"{node} {what}; {remedy}")

    def block_name(self, node: FileNode) -> str:
        """A unique name for a block of this node."""
        name, n = node.label, 1
        while name in self._blocks:
            n += 1
            name = f"{node.label}_{n}"
        self._blocks.add(name)
        return name

    def activation(self, node: FileNode, symbol: Symbol | None, what: str = "its input") -> Activation:
        """The operand as an Activation; a ValueError says that it was never quantized."""
        if isinstance(symbol, Activation):
            return symbol
        if isinstance(symbol, Curve):
            return self._tabulated(node, symbol)
        if isinstance(symbol, RealInput):
            raise self.error(
                node, f"has no scale for {what}: the real input {symbol.name!r} is not quantized before it",
                "insert a Quant node after the input, or pass input=Format to fxsim.load",
            )  # fmt: skip
        raise self.error(
            node, f"needs an activation as {what}, not a constant", "swap the operands or fold the node"
        )

    def real(self, node: FileNode, symbol: Symbol | None) -> Activation | Curve:
        """The operand of an op that takes functions of codes as they are; else as `activation`."""
        return symbol if isinstance(symbol, Curve) else self.activation(node, symbol)

    def _tabulated(self, node: FileNode, x: Curve) -> Activation:
        """A function of codes as integers with a scale, by a table, where its values allow it."""
        try:
            name = self.block_name(node)
            tensor, unit = tabulated(self.builder, name, x.tensor, x.terms, x.axis)
        except ValueError as e:
            raise self.error(
                node, f"needs integers, but its operand or result is a function of real numbers: {e}",
                "put a quantizer right behind that function",
            ) from None  # fmt: skip
        return Activation(tensor, (Line(unit),)).settled()

    def constant(self, node: FileNode, symbol: Symbol | None, what: str) -> Constant:
        """The operand as a Constant; a ValueError says that it is computed from the input."""
        if isinstance(symbol, Constant):
            return symbol
        raise self.error(
            node, f"needs a constant {what}, not one computed from the input", f"export a constant {what}"
        )

    def materialised(self, node: FileNode, x: Activation) -> Activation:
        """x with its clamps as Max and Min; where a bound is no whole code, on a grid that holds it.

        ValueError where that grid is finer than 2**-128 of x's.
        """
        if not x.clamped:
            return x
        t, lines = x.tensor, x.lines
        unit = Fraction(2) ** t.frac
        finer = [lcm(*((b * unit).denominator for b in (li.low, li.high) if b is not None)) for li in lines]
        if len({li.scale for li in lines}) == 1:
            finer = [lcm(*finer)] * len(finer)  # one scale stays one
        if max(finer).bit_length() > CLAMP_BITS:
            raise self.error(
                node,
                f"uses the result of a ReLU or Clip whose bound lies on a grid finer than 2**-{CLAMP_BITS}",
                "insert a Quant node after the ReLU",
            )  # fmt: skip
        if any(f != 1 for f in finer):
            t = t * self.along(t, finer, x.axis, 0)
            lines = tuple(
                Line(
                    li.scale / f, li.offset, None if li.low is None else li.low * f,
                    None if li.high is None else li.high * f,
                )
                for li, f in zip(lines, finer, strict=True)
            )  # fmt: skip
        for side, join in (("low", maximum), ("high", minimum)):
            bounds = [getattr(line, side) for line in lines]
            if all(b is None for b in bounds):
                continue
            end = t.type.bounds[side == "high"]
            ends = [end if b is None else int(b * unit) for b in bounds]
            t = join(t, self.along(t, ends, x.axis, t.frac))
        return Activation(t, tuple(Line(li.scale, li.offset) for li in lines), x.axis)

    def along(self, x: Tensor, values: Sequence[int], axis: int | None, frac: int) -> Tensor:
        """A constant raw integer, or one per index of `axis`, that broadcasts against x."""
        raw = to_object(np.array(values, object))
        raw = raw.reshape(()) if axis is None else raw.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
        return self.builder.apply(ops.Const(IntArray(raw), frac))

    def wired(self, node: FileNode, x: Symbol, op: Op) -> Symbol:
        """A wiring op on an activation or on the real input, scales following their axis."""
        if isinstance(x, RealInput):
            shape = op.infer(TensorType.constant(np.zeros(x.shape, np.int64), 0)).shape
            return RealInput(x.name, shape, x.start, (*x.wiring, op), x.steps)
        if isinstance(x, Curve):
            terms, axis = (x.terms, None) if x.axis is None else rewired(x.terms, x.axis, x.shape, op)
            return Curve(self.builder.apply(op, x.tensor), terms, axis)
        assert isinstance(x, Activation)
        if x.axis is None:
            return Activation(self.builder.apply(op, x.tensor), x.lines)
        lines, axis = rewired(x.lines, x.axis, x.shape, op)
        return Activation(self.builder.apply(op, x.tensor), lines, axis)

    def encoded(
        self, node: FileNode, x: RealInput, quantizer: CodeEncoder, axis: int | None, frac: int = 0
    ) -> Tensor:
        """The graph's input at the codes of the quantizer behind x's steps, and the wiring before it.

        `axis` is the channel axis of the input if the codes' range varies along it.
        """
        encoder = SteppedEncoder(x.steps, quantizer) if x.steps else quantizer
        known = self._codes.get(x.name)
        if known is not None and known[0] != encoder:
            raise self.error(
                node,
                f"quantizes the input {x.name!r} in a second way",
                "pass input=Format, so that both are hardware",
            )
        if known is None:
            shape = x.start
            rest = 0 if axis is None else len(shape) - 1 - axis
            lo, hi = (
                np.broadcast_to(v.reshape(v.shape + (1,) * rest if v.ndim else ()), shape)
                for v in quantizer.bounds()
            )
            tensor = self.builder.input(x.name, TensorType(shape, frac, lo, hi), encoder)
            known = self._codes[x.name] = (encoder, tensor)
        tensor = known[1]
        for op in x.wiring:
            with self.builder.block("flatten", f"{self.block_name(node)}_input", [tensor]) as outputs:
                outputs.append(self.builder.apply(op, tensor))
            tensor = outputs[0]
        return tensor


ALIASES = frozenset(
    {"Cast", "Clip", "DequantizeLinear"}
)  # where they change nothing, the tensor has a second name
WIRING = frozenset(
    {
        "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Resize", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Upsample",
    }
)  # fmt: skip


def static(values: Array) -> tuple[int, ...]:
    """A constant tensor as a tuple of ints (shapes, axes, permutations)."""
    return tuple(int(v) for v in np.asarray(values).ravel())
