"""A torch.export program as a Model: its nodes in ONNX's vocabulary, names of modules, constants folded."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.model import FileInput, FileNode, Model
from fxsim.load.table import find
from fxsim.load.torch.capture import FLOAT_HELP, require_torch
from fxsim.load.torch.names import module_path, names

OPSET = 20
QUANTIZERS = ("fxsim_torch::", "quantized_decomposed::", "aten::fake_quantize", "aten::_fake_quantize")
IGNORED = ("aten::_assert_tensor_metadata", "aten::_assert_scalar", "aten::_assert_async",
           "aten::sym_constrain_range", "aten::sym_constrain_range_for_size")  # fmt: skip
CODE_INPUTS = {"torch.uint8": (8, False), "torch.int8": (8, True), "torch.int16": (16, True)}

Translator = Callable[["Program", Any, "dict[str, Any]"], Any]
TRANSLATORS: dict[str, Translator] = {}
NEAREST: dict[str, str] = {}
"""What to write instead of an op that has no integer form."""


def translates(*ops: str) -> Callable[[Translator], Translator]:
    """Decorator: the translator of these ops ("aten::relu"), translator(program, node, arguments) -> value.

    Arguments come by their names in the op's schema, defaults filled in: the name of a tensor of the Model
    (str), a constant tensor, or plain data.
    """

    def add(fn: Translator) -> Translator:
        for op in ops:
            if op in TRANSLATORS:
                raise ValueError(f"op {op!r} already has a translator")
            TRANSLATORS[op] = fn
        return fn

    return add


def translated(program: Any, name: str, whole: bool) -> Model:
    """The Model of an ExportedProgram; `whole` allows one without quantizers (its input has a format)."""
    import fxsim.load.torch.ops  # noqa: F401  # fills the table

    return Program(functional(program), name).model(whole)


def functional(program: Any) -> Any:
    """The program without in-place ops that anything else could notice."""
    torch = require_torch("loading a torch module")
    calls = [n for n in program.graph.nodes if n.op == "call_function"]
    if all(harmless(n) for n in calls if _schema(n) is not None and _schema(n).is_mutable):
        return program
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch warns of its own code
        return program.run_decompositions({})


def harmless(node: Any) -> bool:
    """Does an in-place op change a fresh tensor that no other node reads, so that it is the plain op?"""
    source: Any = node.args[0] if node.args else None
    if not hasattr(source, "users") or set(source.users) != {node} or source.op != "call_function":
        return False
    written = [a.alias_info is not None and a.alias_info.is_write for a in _schema(node).arguments]
    schema = _schema(source)
    fresh = schema is not None and all(r.alias_info is None for r in schema.returns)
    again = schema is not None and schema.is_mutable and harmless(source)
    return written == [True] + [False] * (len(written) - 1) and (fresh or again)


def _schema(node: Any) -> Any:
    return getattr(node.target, "_schema", None)


class Program:
    """One translation: what each fx node became, and the nodes and constants made so far."""

    def __init__(self, program: Any, name: str) -> None:
        self.torch = require_torch("loading a torch module")
        self.program, self.title = program, name
        self.nodes: list[FileNode] = []
        self.constants: dict[str, Array] = {}
        self.values: dict[Any, Any] = {}
        self.fixed: set[str] = set()  # tensors of quantized constants
        self.quantizers = 0
        self.names = names(program)
        self.taken = set(self.names.values())
        self.batch = 1

    def model(self, whole: bool) -> Model:
        """Translate all nodes. ValueError without quantizers, or where an input or output is no tensor."""
        inputs = self._inputs()
        outputs: tuple[str, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
        if not self.quantizers and not whole and not any(i.bits for i in inputs):
            raise ValueError(
                f"{self.title} has no quantizer, so that its integers are not defined; {FLOAT_HELP}"
            )
        return Model(Path(self.title), tuple(self.nodes), inputs, outputs, self.constants, OPSET)

    def _inputs(self) -> tuple[FileInput, ...]:
        """Parameters, buffers and constants become values; user inputs become the Model's."""
        signature, found = self.program.graph_signature, list[FileInput]()
        state = {**self.program.state_dict, **self.program.constants}
        stored = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        user = set(signature.user_inputs)
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            if node.name in stored:
                self.values[node] = state[stored[node.name]].detach()
            elif node.name in user and hasattr(node.meta.get("val"), "shape"):
                found.append(self._input(node, first=not found))
                self.values[node] = self.names[node]
            elif node.name in user and node.meta.get("val") is not None:
                self.values[node] = node.meta["val"]
            else:
                self.values[node] = None
        if not found:
            raise ValueError(f"{self.title} has no tensor as input; give forward at least one")
        return tuple(found)

    def _input(self, node: Any, first: bool) -> FileInput:
        value = node.meta["val"]
        if not value.ndim:
            raise ValueError(f"input {node.name!r} must have a batch axis, not be a scalar")
        if first:
            self.batch = value.shape[0] if isinstance(value.shape[0], int) else 1
        shape = self.sizes(node, f"input {node.name!r}")
        if shape[0] != self.batch:
            raise ValueError(
                f"input {node.name!r} has a batch of {shape[0]}, the first input one of {self.batch}; give "
                "every input the same batch axis, and make what is no batch a buffer of the module"
            )
        kind = str(value.dtype)
        if kind not in ("torch.float32", *CODE_INPUTS):
            raise ValueError(
                f"input {node.name!r} must be float32, or codes of type uint8, int8 or int16, not {kind}"
            )
        return FileInput(self.names[node], shape, *CODE_INPUTS.get(kind, (0, False)))

    def _outputs(self, node: Any) -> tuple[str, ...]:
        wanted = set(self.program.graph_signature.user_outputs)
        found = []
        for arg in self.torch.utils._pytree.tree_leaves(node.args[0]):
            if not hasattr(arg, "name") or arg.name not in wanted:
                continue
            value = self.values[arg]
            if not isinstance(value, str):
                raise ValueError(
                    f"output {arg.name!r} of {self.title} is not computed from its input; return only "
                    "tensors that are"
                )
            if value in found:
                value = self.emit("Identity", [value], f"{value}.again")
            found.append(value)
        if not found:
            raise ValueError(f"{self.title} returns no tensor; return one from forward")
        return tuple(found)

    def sizes(self, node: Any, what: str = "") -> tuple[int, ...]:
        """The static shape of a node's value, batch first; ValueError for another open axis."""
        out = []
        for axis, n in enumerate(node.meta["val"].shape):
            if not isinstance(n, int):
                if axis:
                    raise ValueError(
                        f"{what or self.where(node)} must not be dynamic, but axis {axis} is open ({n}); "
                        "only the batch axis may be: export the module with that size fixed"
                    )
                n = self.batch
            out.append(n)
        return tuple(out)

    def _call(self, node: Any) -> Any:
        """What a node becomes: folded constants, plain data, or the name of a tensor."""
        if node.target is operator.getitem:
            return self.resolved(node.args[0])[node.args[1]]
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            args = self.resolved(node.args)
            if all(isinstance(a, (int, float, bool)) for a in args):
                return node.target(*args)
            raise self.unsupported(node, str(getattr(node.target, "__name__", node.target)))
        if schema.name == "aten::sym_size":
            return self.sizes(node.args[0])[node.args[1]]
        if schema.name in IGNORED:
            return None
        args = self.bound(node, schema)
        if schema.name.startswith(QUANTIZERS):
            self.quantizers += 1
        elif not any(isinstance(v, str) for v in self.tensors(node)):
            return self._folded(node)
        name = self.op(node)
        translator = TRANSLATORS.get(name)
        if translator is None:
            raise self.unsupported(node, name.replace("::", "."))
        return translator(self, node, args)

    def op(self, node: Any) -> str:
        """The op of a node, an in-place one as the plain one ("aten::relu")."""
        schema = node.target._schema
        return str(schema.name.removesuffix("_") if schema.is_mutable else schema.name)

    def tensors(self, node: Any) -> list[Any]:
        """The values of all nodes that are arguments."""
        return [self.values[n] for n in node.all_input_nodes]

    def bound(self, node: Any, schema: Any) -> dict[str, Any]:
        """{argument's name: value}, by the op's schema."""
        out = {}
        for i, argument in enumerate(schema.arguments):
            if i < len(node.args):
                value = node.args[i]
            elif argument.name in node.kwargs:
                value = node.kwargs[argument.name]
            else:
                value = argument.default_value
            out[argument.name] = self.resolved(value)
        return out

    def resolved(self, value: Any) -> Any:
        """The value with every fx node replaced by what it became."""
        if isinstance(value, (list, tuple)):
            return tuple(self.resolved(v) for v in value)
        return self.values[value] if hasattr(value, "all_input_nodes") else value

    def _folded(self, node: Any) -> Any:
        """An op on constants, by torch itself."""
        kwargs = {k: self.resolved(v) for k, v in node.kwargs.items()}
        args = [list(a) if isinstance(a, tuple) else a for a in map(self.resolved, node.args)]
        with self.torch.no_grad():
            return node.target(*args, **kwargs)

    def emit(
        self, op: str, inputs: Sequence[Any], name: str, domain: str = "", outputs: int = 1, **attributes: Any
    ) -> str:
        """Append a node; constant tensors among the inputs are stored. The name of its (first) output."""
        given = tuple(self.stored(v) for v in inputs)
        made = (name, *(f"{name}.{i}" for i in range(1, outputs)))
        self.taken.update(made)
        if all(n in self.fixed or n in self.constants for n in given if n):
            self.fixed.update(made)
        kept = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(FileNode(op, domain, name, given, made, kept))
        return name

    def stored(self, value: Any) -> str:
        """The name of a tensor of the Model: its own, or that of a new constant; "" for None."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        array = value.detach().numpy() if isinstance(value, self.torch.Tensor) else np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"constant_{len(self.constants)}"
        while name in self.taken:
            name += "_"
        self.constants[name] = array
        return name

    def name(self, node: Any, part: str = "") -> str:
        """The node's name in the graph, or that of a step on the way to it."""
        return f"{self.names[node]}.{part}" if part else self.names[node]

    def where(self, node: Any) -> str:
        """The node, its op and its module, for messages."""
        path = module_path(node)
        op = getattr(getattr(node.target, "_schema", None), "name", str(node.target)).replace("::", ".")
        return f"{op} in module {path!r}" if path else f"{op} in forward of {self.title}"

    def error(self, node: Any, what: str, remedy: str) -> ValueError:
        """A ValueError that names op and module and says what to do."""
        return ValueError(f"{self.where(node)} {what}; {remedy}")

    def known(self, op: str, domain: str = "") -> bool:
        """Does the loader have a handler for this op?"""
        return find(FileNode(op, domain, "", (), ())) is not None

    def unsupported(self, node: Any, op: str) -> NotImplementedError:
        """The error for an op without an integer form, and what comes nearest."""
        import difflib

        known = sorted({k.partition("::")[2].strip("_") for k in TRANSLATORS if k.startswith("aten::")})
        name = op.rpartition(".")[2]
        near = [k for k in difflib.get_close_matches(name, known, 4, 0.6) if k != name]
        advice = NEAREST.get(op.replace(".", "::")) or (
            f"nearest are {', '.join(near)}" if near else "nothing supported is named like it"
        )
        return NotImplementedError(
            f"{self.where(node)} has no integer form; {advice}; supported are {', '.join(known)}. Rewrite "
            "the module without it, or write one: @translates from fxsim.load.torch.program"
        )
