"""Files that lie or lead outside: each is refused by name, and nothing of it is executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import QONNX, node, quant, write

from fxsim import UQ, load

F32 = np.float32
BASE: dict[str, Any] = {"s": F32(0.25), "z": F32(0), "b": F32(4), "w": np.ones((4, 3), F32)}
DENSE = [quant("x", "a"), quant("w", "wq"), node("MatMul", "a wq", "y")]


def edited(folder: Path, edit: Any, nodes: Any = DENSE, **more: Any) -> Path:
    """The small dense model after `edit(proto)`."""
    path = write(folder, nodes, BASE | more)
    proto = onnx.load(str(path))
    edit(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def external(folder: Path, **entries: Any) -> Path:
    """The weights in a file of their own: w.bin beside the model unless `location` says otherwise."""

    def edit(proto: onnx.ModelProto) -> None:
        tensor = next(t for t in proto.graph.initializer if t.name == "w")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for k, v in ({"location": "w.bin", "offset": 0, "length": 48} | entries).items():
            if v is not None:
                tensor.external_data.add(key=k, value=str(v))

    (folder / "w.bin").write_bytes(np.ones(12, F32).tobytes())
    return edited(folder, edit)


def test_external_data(tmp_path) -> None:
    expected = load(write(tmp_path, DENSE, BASE, name="inside.onnx"))
    for entries in (
        {},
        {"length": None},
        {"offset": None, "length": None},
        {"checksum": "1", "colour": "red"},
    ):
        assert load(external(tmp_path, **entries)).digest() == expected.digest()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "v.bin").write_bytes(b"head" + np.ones(12, F32).tobytes())
    assert load(external(tmp_path, location="deep/v.bin", offset=4)).digest() == expected.digest()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../w.bin"}, r"'w' of m.onnx must lie in the model's folder, not at '../w.bin': move"),
        ({"location": "/etc/passwd"}, r"must lie in the model's folder, not at '/etc/passwd'"),
        ({"location": "link.bin"}, r"must lie in the model's folder, not at 'link.bin'"),
        ({"location": "loop.bin"}, r"damaged place of its data|which is missing"),
        ({"location": "none.bin"}, r"lies in the file 'none.bin', which is missing; put it beside the model"),
        ({"location": "."}, r"lies in the file '.', which is missing"),
        ({"location": "a\0b"}, r"damaged place of its data|which is missing"),
        ({"location": "x" * 5000}, r"damaged place of its data|which is missing"),
        ({"offset": 4}, r"needs 48 bytes, but is said to have 48 from byte 4 on in 'w.bin', which has 48"),
        ({"offset": 10**18}, r"needs 48 bytes, but is said to have 48 from byte 1000000000000000000 on"),
        ({"offset": -1}, r"from byte -1 on"),
        ({"length": 44}, r"needs 48 bytes, but is said to have 44"),
        ({"length": 10**15}, r"is said to have 1000000000000000 from"),
        ({"offset": "zero"}, r"damaged place of its data"),
    ],
)
def test_external_data_elsewhere(tmp_path, entries, message) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(np.ones(12, F32).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    (folder / "loop.bin").symlink_to(folder / "loop.bin")
    with pytest.raises(ValueError, match=message):
        load(external(folder, **entries))


def test_large_files_are_refused_by_their_first_bytes(tmp_path, monkeypatch) -> None:
    """2 GB of zeros, and a little less: neither is read."""
    monkeypatch.setattr(onnx, "load", None)
    path = tmp_path / "zeros.onnx"
    for size, message in ((2**31, "must be smaller than 2 GB"), (2**31 - 1, "no field of a model at byte 0")):
        with path.open("wb") as f:
            f.truncate(size)
        with pytest.raises(ValueError, match=message):
            load(path)
    with path.open("wb") as f:  # a graph that is said to fill the file, and does not
        f.write(b"\x08\x09\x3a\xff\xff\xff\xff\x07")
        f.truncate(1 << 30)
    with pytest.raises(ValueError, match="no field of a model at byte 2"):
        load(path)


def test_what_is_no_file(tmp_path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(IsADirectoryError, match="must be a file, not a folder"):
        load(tmp_path / "folder.onnx")
    with pytest.raises(ValueError, match="no nodes or no outputs; it is truncated or empty"):
        load(tmp_path / "empty.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(FileNotFoundError, match="no model file"):
        load(tmp_path / "pipe.onnx")


def weights(tensor: onnx.TensorProto) -> Any:
    def edit(proto: onnx.ModelProto) -> None:
        old = next(t for t in proto.graph.initializer if t.name == "w")
        old.CopyFrom(tensor)
        old.name = "w"

    return edit


HUGE = [2**62, 4]
TENSORS = {
    "sizes beyond memory": (TensorProto(data_type=1, dims=HUGE), r"initializer 'w' .*at most \d+ elements"),
    "sizes that overflow": (TensorProto(data_type=1, dims=[2**33, 2**33]), r"at most \d+ elements"),
    "negative sizes": (TensorProto(data_type=1, dims=[-1, 4]), r"not negative .*not -1x4"),
    "too little data": (TensorProto(data_type=1, dims=[4, 3], raw_data=b"1"), r"'w' of m.onnx is not read"),
    "no data": (TensorProto(data_type=1, dims=[4, 3]), r"'w' of m.onnx is not readable"),
    "an unknown type": (TensorProto(data_type=77, dims=[1], raw_data=b"1"), r"numbers, not unknown"),
    "no type": (TensorProto(dims=[4, 3], raw_data=b"1" * 48), r"must hold numbers, not UNDEFINED"),
    "texts": (helper.make_tensor("w", TensorProto.STRING, [1], [b"a"]), r"must hold numbers, not STRING"),
    "complex numbers": (
        TensorProto(data_type=14, dims=[1], raw_data=bytes(8)), r"must hold numbers, not COMPLEX64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(tmp_path, case) -> None:
    tensor, message = TENSORS[case]
    with pytest.raises(ValueError, match=message):
        load(edited(tmp_path, weights(tensor)))


def graph_attribute(op: str) -> onnx.NodeProto:
    inner = helper.make_graph(
        [node("Identity", "a", "i")], "inner", [], [helper.make_tensor_value_info("i", 1, None)]
    )
    names = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}[op]
    return helper.make_node(op, ["a"], ["y"], name="n_y", **dict.fromkeys(names, inner))


def test_nested_graphs(tmp_path) -> None:
    for op in ("If", "Loop", "Scan"):
        with pytest.raises(
            NotImplementedError, match=rf"node 'n_y' \({op}\).* holds .*graph.* of its own: export"
        ):
            load(write(tmp_path, [quant("x", "a"), graph_attribute(op)], BASE))
    with pytest.raises(NotImplementedError, match=r"\(SequenceAt\) of domain 'ai.onnx' has no handler"):
        load(write(tmp_path, [quant("x", "a"), node("SequenceAt", "a z", "y")], BASE))


def test_near_names_and_domains(tmp_path) -> None:
    def refusal(made: onnx.NodeProto) -> str:
        with pytest.raises(NotImplementedError) as e:
            load(write(tmp_path, [quant("x", "a"), made], BASE))
        return str(e.value)

    assert "nearest are MatMul" in refusal(node("MatMull", "a w", "y"))
    made = helper.make_node("Quant", ["a", "s", "z", "b"], ["y"], name="q", domain="mine")
    assert "Quant is known in another domain" in refusal(made) and "domain='mine'" in refusal(made)
    made = helper.make_node("MVAU", ["a"], ["y"], name="m", domain="finn.custom_op.fpgadataflow.hls")
    assert "load the model as it was before their conversion" in refusal(made)
    made = helper.make_node("Zzz", ["a"], ["y"], name="m")
    assert "nothing supported is named like it" in refusal(made)


def test_inputs_that_are_no_tensors(tmp_path) -> None:
    def sequence(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1

    def text(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING

    def double(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE

    def wide(proto: onnx.ModelProto) -> None:
        proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40

    def latin(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].input[0] = "caf\u00e9"
        proto.graph.input[0].name = "caf\u00e9"

    with pytest.raises(ValueError, match="input 'x' must be a tensor, not a sequence; cut the model"):
        load(edited(tmp_path, sequence))
    with pytest.raises(
        ValueError, match="input 'x' must hold integers or floating-point numbers, not STRING"
    ):
        load(edited(tmp_path, text))
    with pytest.raises(
        ValueError, match=r"input 'x' must be float \(32 bits\) .*not double; export it as float"
    ):
        load(edited(tmp_path, double))
    assert load(tmp_path / "m.onnx", input=UQ(2, 6)).output_names == ("y",)
    with pytest.raises(ValueError, match=r"input 'x' must have sizes .* not 1099511627776"):
        load(edited(tmp_path, wide))
    assert load(edited(tmp_path, latin)).inputs[0].name == "caf\u00e9"
    data = (tmp_path / "m.onnx").read_bytes().replace("caf\u00e9".encode(), b"caf\xe9\xe9")
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="stands where a name must be"):
        load(tmp_path / "m.onnx")


def test_integer_inputs_are_codes(tmp_path) -> None:
    for kind, bits, signed in ((TensorProto.INT32, 32, True), (TensorProto.UINT64, 64, False), (9, 1, False)):
        nodes = [node("Cast", "x", "c", to=1), node("Mul", "c s", "y")]
        graph = load(write(tmp_path, nodes, BASE, dtype=kind))
        t = graph.inputs[0].type
        assert (t.max_width, bool(t.bounds[0] < 0)) == (bits, signed)
        assert graph.run(np.array([[1, 0, 1, 1]])).tolist() == [[0.25, 0, 0.25, 0.25]]


def test_names_given_twice(tmp_path) -> None:
    def output(proto: onnx.ModelProto) -> None:
        proto.graph.node[1].output[0] = "a"
        proto.graph.node[2].input[1] = "a"

    def initializer(proto: onnx.ModelProto) -> None:
        proto.graph.initializer.append(proto.graph.initializer[0])

    def order(proto: onnx.ModelProto) -> None:
        last = onnx.NodeProto()
        last.CopyFrom(proto.graph.node[2])
        del proto.graph.node[2]
        proto.graph.node.insert(0, last)

    def sparse(proto: onnx.ModelProto) -> None:
        proto.graph.sparse_initializer.add()

    with pytest.raises(ValueError, match=r"node 'n_wq' \(Quant\) makes 'a', which m.onnx has already"):
        load(edited(tmp_path, output))
    with pytest.raises(ValueError, match=r"m.onnx has two tensors named 's'; give each a name of its own"):
        load(edited(tmp_path, initializer))
    with pytest.raises(
        ValueError, match=r"\(MatMul\) reads 'a', which only a later node makes; .*not sorted"
    ):
        load(edited(tmp_path, order))
    with pytest.raises(ValueError, match=r"m.onnx has sparse initializers; save them as dense tensors"):
        load(edited(tmp_path, sparse))


def function(name: str, calls: list[str], op: str = "Relu") -> onnx.FunctionProto:
    nodes = [node(op, "x", "t0")]
    for i, called in enumerate(calls):
        nodes.append(helper.make_node(called, [f"t{i}"], [f"t{i + 1}"], domain="own"))
    nodes.append(node("Identity", f"t{len(calls)}", "r"))
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["r"], nodes, imports)


def with_functions(folder: Path, functions: list[onnx.FunctionProto], first: str) -> Path:
    path = write(folder, [quant("x", "a"), node("Identity", "a", "y")], BASE)
    proto = onnx.load(str(path))
    proto.graph.node[1].op_type, proto.graph.node[1].domain = first, "own"
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.extend(functions)
    path.write_bytes(proto.SerializeToString())
    return path


def test_functions_are_put_in_place(tmp_path) -> None:
    graph = load(with_functions(tmp_path, [function("f", ["g"]), function("g", [], "Neg")], "f"))
    assert graph.run(np.array([[1.0, -1, 0.5, 0]])).tolist() == [[-1, 0, -0.5, 0]]


def test_functions_that_never_end(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"function 'f' of m.onnx calls itself"):
        load(with_functions(tmp_path, [function("f", ["g"]), function("g", ["f"])], "f"))
    bomb = [function(f"f{i}", [f"f{i + 1}"] * 10 if i < 9 else []) for i in range(10)]
    with pytest.raises(ValueError, match=r"functions of m.onnx must give at most \d+ nodes, not \d{10}"):
        load(with_functions(tmp_path, bomb, "f0"))


FOLDED = {
    "ConstantOfShape": [np.array([2**40, 4])],
    "Expand": [np.ones(3, F32), np.array([2**40, 3])],
    "Tile": [np.ones(3, F32), np.array([2**40])],
    "Range": [np.array(0), np.array(2**50), np.array(1)],
    "Pad": [np.ones(3, F32), np.array([0, 2**40])],
    "OneHot": [np.array([1]), np.array(2**40), np.array([0, 1])],
    "RandomNormalLike": [np.ones(3, F32)],
}


@pytest.mark.parametrize("op", FOLDED)
def test_constants_that_would_grow_without_bound(tmp_path, op) -> None:
    constants = {f"k{i}": v for i, v in enumerate(FOLDED[op])}
    nodes = [quant("x", "a"), node(op, " ".join(constants), "k"), node("Add", "a k", "y")]
    with pytest.raises(ValueError, match=rf"n_k' \({op}\) (must have sizes|draws random numbers)"):
        load(write(tmp_path, nodes, BASE | constants))


def test_windows_that_would_grow_without_bound(tmp_path) -> None:
    pool = node("MaxPool", "a", "y", kernel_shape=[2], pads=[0, 2**40])
    with pytest.raises(ValueError, match=r"\(MaxPool\).*must have sizes"):
        load(write(tmp_path, [quant("x", "a"), pool], BASE, (1, 2, 4)))
    with pytest.raises(ValueError, match=r"\(Pad\).*must have sizes"):
        load(
            write(
                tmp_path, [quant("x", "a"), node("Pad", "a p", "y")], BASE | {"p": np.array([0, 0, 0, 2**40])}
            )
        )


@pytest.mark.parametrize("value", [0, -0.5, np.nan, np.inf])
@pytest.mark.parametrize("op", ["Quant", "BipolarQuant", "QuantizeLinear"])
def test_scales(tmp_path, value, op) -> None:
    inputs = {"Quant": "x s z b", "BipolarQuant": "x s", "QuantizeLinear": "x s"}[op]
    with pytest.raises(ValueError, match=rf"\({op}\) has a scale that is not positive and finite"):
        load(write(tmp_path, [node(op, inputs, "y")], BASE | {"s": F32(value)}))


@pytest.mark.parametrize("value", [0, 65, 1000, 2.5, -3, np.nan, np.inf])
def test_bit_widths(tmp_path, value) -> None:
    with pytest.raises(ValueError, match=r"\(Quant\) has (the|a) bit width"):
        load(write(tmp_path, [quant("x", "y")], BASE | {"b": F32(value)}))


@pytest.mark.parametrize("bits", [53, 54, 63, 64])
@pytest.mark.parametrize("signed", [0, 1])
def test_wide_inputs(tmp_path, bits, signed) -> None:
    graph = load(write(tmp_path, [quant("x", "y", signed=signed)], BASE | {"b": F32(bits)}))
    lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    codes = graph.encoders[0].encode(np.array([[1e30, -1e30, 1, 0.25]]), "x")
    assert [int(c) for c in codes.ravel()] == [hi, lo, 4, 1]
    assert graph.inputs[0].type.bounds == (lo, hi)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights(tmp_path, value) -> None:
    w = np.ones((4, 3), F32)
    w[2, 1] = value
    if np.isnan(value):
        with pytest.raises(ValueError, match=r"\(Quant\) quantizes a constant that is NaN at \(2, 1\)"):
            load(write(tmp_path, DENSE, BASE | {"w": w}))
    else:  # saturates, as in the reference
        assert load(write(tmp_path, DENSE, BASE | {"w": w})).run(np.full((1, 4), 0.25)).max() > 1
    plain = [quant("x", "a"), node("MatMul", "a w", "y")]
    with pytest.raises(ValueError, match=r"\(MatMul\)"):
        load(write(tmp_path, plain, BASE | {"w": w}))


def test_constants_of_other_float_types(tmp_path) -> None:
    """float16, bfloat16 and double weights and biases are exact numbers; scales may be double."""
    w = np.arange(-6, 6).reshape(4, 3) / 8
    x = np.array([[0.25, -1, 0.5, 1.75]])
    expected = load(
        write(
            tmp_path, [*DENSE[:2], node("Gemm", "a wq c", "y")], BASE | {"w": w.astype(F32), "c": F32(0.375)}
        )
    ).run(x)
    for kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):

        def edit(proto: onnx.ModelProto, kind: int = kind) -> None:
            for t in proto.graph.initializer:
                if t.name in ("w", "c"):
                    values = numpy_helper.to_array(t)
                    t.CopyFrom(helper.make_tensor(t.name, kind, values.shape, values.ravel().tolist()))

        nodes = [*DENSE[:2], node("Gemm", "a wq c", "y")]
        path = edited(tmp_path, edit, nodes, w=w.astype(F32), c=F32(0.375))
        assert np.array_equal(load(path).run(x), expected)
        plain = [quant("x", "a"), node("MatMul", "a w", "y")]
        path = edited(tmp_path, edit, plain, w=w.astype(F32))
        assert np.array_equal(load(path).run(x), x @ w)
    nodes = [quant("x", "a"), quant("a", "y", "d")]
    path = write(tmp_path, nodes, BASE | {"d": np.array(0.3)})
    codes = load(path).codes(np.array([[1.75, -2, 0.25, 0.5]]))["y"]
    assert codes.tolist() == [[6, -7, 1, 2]]
    with pytest.raises(
        ValueError, match="has a scale of type float64 for the real input; store it as float32"
    ):
        load(write(tmp_path, [quant("x", "y", "d")], BASE | {"d": np.array(0.3)}))


def test_nothing_of_a_file_is_executed(tmp_path, monkeypatch) -> None:
    """No import, evaluation or process starts from names in a file."""
    evil = "__import__('os').system('touch owned')"
    nodes = [quant("x", "a"), node("Identity", "a", "y", name=evil)]
    path = write(tmp_path, nodes, BASE)
    proto = onnx.load(str(path))
    proto.doc_string = proto.producer_name = evil
    proto.metadata_props.add(key=evil, value=evil)
    proto.opset_import.append(helper.make_opsetid("os.path", 1))
    path.write_bytes(proto.SerializeToString())
    monkeypatch.chdir(tmp_path)
    assert load(path).output_names == ("y",)
    made = helper.make_node("system", ["a"], ["y"], name="n", domain="os", command=evil)
    with pytest.raises(NotImplementedError, match=r"\(system\) of domain 'os' has no handler"):
        load(write(tmp_path, [quant("x", "a"), made], BASE))
    assert not (tmp_path / "owned").exists()
    assert QONNX
