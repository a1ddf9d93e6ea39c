"""Model files of no known kind, and ONNX files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
from bad_input.table import case
from fxsim.data import digits_model


@case("a truncated model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tmp / "model.onnx"
    path.write_bytes(Path(digits_model()).read_bytes()[:5000])
    fxsim.load(path)


@case("a model file that does not exist")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tmp / "nothing.onnx")


@case("a file of an unknown kind")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tmp / "model.pkl"
    path.write_bytes(b"abc")
    fxsim.load(path)


@case("weights of PyTorch in place of a model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tmp / "model.pth")


def onnx_model(
    path: Path, nodes: list[Any], shape: list[Any], constants: dict[str, Any] | None = None
) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    values = [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in (constants or {}).items()]
    domains = [helper.make_opsetid("", 20), helper.make_opsetid("qonnx.custom_op.general", 2)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y], values), opset_imports=domains), path)
    return path


def quant(inputs: list[str], output: str) -> Any:
    from onnx import helper

    return helper.make_node(
        "Quant", inputs, [output], name=f"quant_{output}", domain="qonnx.custom_op.general",
        signed=1, narrow=0, rounding_mode="ROUND",
    )  # fmt: skip


QUANT_PARAMETERS = {"s": 0.25, "z": 0.0, "b": 4.0}


@case("a model with an unknown op")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from onnx import helper

    nodes = [
        quant(["x", "s", "z", "b"], "q"),
        helper.make_node("Einsum", ["q"], ["y"], name="odd", equation="ij->ji"),
    ]
    fxsim.load(onnx_model(tmp / "m.onnx", nodes, [1, 4], QUANT_PARAMETERS))


@case("a dynamically quantized model")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from onnx import helper

    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"], name="dynamic")]
    fxsim.load(onnx_model(tmp / "m.onnx", nodes, [1, 4], {}))


@case("a function of real numbers without a quantizer behind it")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from onnx import helper

    nodes = [quant(["x", "s", "z", "b"], "q"), helper.make_node("Gelu", ["q"], ["y"], name="gelu")]
    fxsim.load(onnx_model(tmp / "m.onnx", nodes, [1, 4], QUANT_PARAMETERS))


@case("a model with a dynamic shape")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(onnx_model(tmp / "m.onnx", [quant(["x", "s", "z", "b"], "y")], [1, "n"], QUANT_PARAMETERS))


def damaged(tmp: Path, edit: Callable[[Any], Any]) -> None:
    """Load a small model after `edit(proto)`."""
    import onnx

    nodes = [quant(["x", "s", "z", "b"], "q"), onnx.helper.make_node("Add", ["q", "q"], ["y"], name="sum")]
    path = onnx_model(tmp / "m.onnx", nodes, [1, 4], QUANT_PARAMETERS)
    proto = onnx.load(str(path))
    edit(proto)
    path.write_bytes(proto.SerializeToString())
    fxsim.load(path)


@case("a model with a loop of its own graph")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from onnx import helper

    body = helper.make_graph([], "body", [], [])
    loop = helper.make_node("Loop", ["", "", "q"], ["y"], name="again", body=body)
    fxsim.load(onnx_model(tmp / "m.onnx", [quant(["x", "s", "z", "b"], "q"), loop], [1, 4], QUANT_PARAMETERS))


@case("a model with a cycle")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    damaged(tmp, lambda proto: proto.graph.node[0].input.__setitem__(0, "y"))


@case("a model whose tensors have one name")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    damaged(tmp, lambda proto: proto.graph.initializer.append(proto.graph.initializer[0]))


@case("a model whose weights lie outside its folder")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    def edit(proto: Any) -> None:
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="../secret")

    damaged(tmp, edit)


@case("a model that declares more than memory holds")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    damaged(tmp, lambda proto: proto.graph.initializer[0].dims.extend([1 << 40, 1 << 40]))


@case("a folder in place of a model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "m.onnx").mkdir()
    fxsim.load(tmp / "m.onnx")


@case("2 GB of zeros in place of a model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    with (tmp / "m.onnx").open("wb") as file:
        file.truncate(1 << 31)
    fxsim.load(tmp / "m.onnx")


@case("a quantizer whose scale is 0")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    nodes = [quant(["x", "s", "z", "b"], "y")]
    fxsim.load(onnx_model(tmp / "m.onnx", nodes, [1, 4], QUANT_PARAMETERS | {"s": 0.0}))


@case("a quantizer whose scale is missing")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(onnx_model(tmp / "m.onnx", [quant(["x", "x", "z", "b"], "y")], [1, 4], {"z": 0.0, "b": 4.0}))
