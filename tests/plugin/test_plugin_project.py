"""The written project: files that stand on their own, a bench that runs, configuration, report."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hls4ml.backends import get_backend
from hls4ml.converters import convert_from_config
from hls4ml.model.graph import ModelGraph
from random_layers import Layers

import fxsim
from hls.plugin import synthesis
from hls.plugin.writer import configuration


def small(folder: Path, **config: Any) -> ModelGraph:
    z = Layers(1, "io_parallel")
    z.dense(z.input(4, type="fixed<6,3>"), 3, weight="fixed<4,2>", accum="fixed<14,6>")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = z.model("fxsim", folder)
        model.config.config |= config
        model.compile()
    return model


def bench(folder: Path) -> subprocess.CompletedProcess[str]:
    # Another folder, and no path to the package: the bench must not need it.
    return subprocess.run(
        [sys.executable, folder / "bench" / "run.py"],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder.parent,
    )


def test_the_project_stands_on_its_own(tmp_path: Path) -> None:
    model = small(tmp_path / "zoo")
    model.write()
    folder = tmp_path / "zoo"
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == [
        "bench/run.py", "bench/test_zoo.py", "hls4ml_config.yml", "report.json", "verilog/README.md",
        "verilog/expected.csv", "verilog/expected.hex", "verilog/stimulus.csv", "verilog/stimulus.hex",
        "verilog/zoo.layout.json", "verilog/zoo.v", "zoo.fxs",
    ]  # fmt: skip
    assert fxsim.load(folder / "zoo.fxs") == model.integer_graph
    report = json.loads((folder / "report.json").read_text())
    assert report["latency"] == model.core.latency and report["adders"] == model.core.adders
    done = bench(folder)
    assert done.returncode == 0 and "64 outputs equal" in done.stdout, (
        done.stdout[-3000:] + done.stderr[-3000:]
    )
    # The bench notices a wrong vector.
    lines = (folder / "verilog" / "expected.hex").read_text().split()
    lines[7] = f"{int(lines[7], 16) ^ 1:x}"
    (folder / "verilog" / "expected.hex").write_text("\n".join(lines) + "\n")
    done = bench(folder)
    assert done.returncode != 0
    assert "1 of 64 outputs differ, the first at sample 7" in done.stdout


def test_the_bench_takes_the_samples_of_the_configuration(tmp_path: Path) -> None:
    x = np.arange(-20, 20).reshape(10, 4) / 8
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.dat", x)
    for name in ("x.npy", "x.dat"):
        model = small(tmp_path / name.replace(".", "_"), InputData=str(tmp_path / name))
        model.write()
        folder = Path(model.config.get_output_dir()) / "verilog"
        codes = np.loadtxt(folder / "stimulus.csv", delimiter=",", skiprows=1)
        np.testing.assert_array_equal(codes / 8, x)
        expected = np.loadtxt(folder / "expected.csv", delimiter=",", skiprows=1)
        np.testing.assert_array_equal(
            np.ldexp(expected, -model.integer_graph.outputs[0].type.frac), model.predict(x)
        )
    np.save(tmp_path / "x.npy", x[:, :3])
    with pytest.raises(ValueError, match="InputData must have 4 numbers per sample, not 3"):
        small(tmp_path / "bad", InputData=str(tmp_path / "x.npy")).write()


def test_verilator_agrees_with_predict(tmp_path: Path, rng: np.random.Generator) -> None:
    z = Layers(5, "io_parallel")
    x = z.input(6, 2, type="fixed<5,3>")
    y = z.pool(z.conv(x, (2,), filters=2), "Average", (3,), (2,), tight=True)
    z.dense(z.other("Reshape", y, (4,), output=False, target_shape=[4]), 2, accum="fixed<6,3,RND,SAT>")
    z.outputs = z.outputs[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = z.model("fxsim", tmp_path)
        seen = model.simulate(rng.normal(size=(100, 6, 2)) * 2)
    assert seen and seen.vectors == 100
    kinds = {type(v.op).__name__ for v in model.integer_graph.values if hasattr(v, "op")}
    assert {"Accumulate", "Div"} <= kinds


def test_build_reports_under_hls4mls_names(tmp_path: Path) -> None:
    model = small(tmp_path / "zoo")
    report = model.build(vsynth=False, layers=False, csim=True)
    found = report["CSynthesisReport"]
    assert found["LUT"] == report["Synthesis"]["synthesis"]["lut"] > 0
    assert found["BestLatency"] == found["WorstLatency"] == model.core.latency
    assert (found["IntervalMin"], found["DSP"], found["EstimatedClockPeriod"]) == (1, 0, None)
    assert json.loads((tmp_path / "zoo" / "report.json").read_text()) == json.loads(json.dumps(report))
    with pytest.raises(ValueError, match="fifo_opt must be False"):
        model.build(fifo_opt=True)
    with pytest.raises(ValueError, match="target must be one of ice40, ecp5, xc7, not 'virtex'"):
        model.build(target="virtex")


def test_parts_stand_for_targets() -> None:
    parts = ("", "ecp5", "ice40hx8k", "xc7z020clg400-1", "xcvu13p-flga2577-2-e")
    assert [synthesis.chosen(p) for p in parts] == ["ecp5", "ecp5", "ice40", "xc7", "ecp5"]


def test_a_clock_period_is_kept_by_the_delay_model(tmp_path: Path) -> None:
    slow = small(tmp_path / "a", Part="ecp5", ClockPeriod=40)
    fast = small(tmp_path / "b", Part="ecp5", ClockPeriod=10)
    assert slow.core.latency < fast.core.latency
    assert small(tmp_path / "c", MaxDepthPerStage=None).core.latency == 2


def test_the_configuration_leads_back_to_the_model(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    w = np.array([[0.5, -0.25], [1.5, 2.0], [-1.0, 0.125]], np.float32)
    file = helper.make_model(helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])],
        [onnx.numpy_helper.from_array(w, "w")],
        value_info=[helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [3, 2])],
    ))  # fmt: skip
    config = get_backend("fxsim").create_initial_config()
    config |= {"OutputDir": str(tmp_path), "ProjectName": "back", "Backend": "fxsim", "OnnxModel": file}
    config["HLSConfig"] = {"Model": {"Precision": "fixed<12,5>", "ReuseFactor": 1}}
    model = convert_from_config(dict(config))
    model.write()
    again = convert_from_config(str(tmp_path / "hls4ml_config.yml"))
    assert again.integer_graph == model.integer_graph
    x = np.array([[1.0, -2.0, 0.5]], np.float32)
    np.testing.assert_array_equal(again.predict(x), (x @ w)[0])


def test_what_yaml_does_not_have_is_left_out(tmp_path: Path) -> None:
    config = {
        "InputShape": (3, 4),
        "Number": np.float64(2.5),
        "PytorchModel": object(),
        "Other": {1: (2, None)},
    }
    text = configuration(config, tmp_path)
    assert yaml.safe_load(text) == {"InputShape": [[3, 4]], "Number": 2.5, "Other": {"1": [2, None]}}
    assert "PytorchModel" in text
