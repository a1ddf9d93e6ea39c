"""Strategies, reuse factors, clock, part: what reaches hls4ml, what is refused, and that results stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import hls
from fxsim import Format, Graph, ops, trace
from fxsim.integers import IntArray
from fxsim.trace import Tensor
from hls.model import SETTINGS
from hls.target import BACKENDS, Target


def mlp(seed: int = 2) -> Graph:
    rng = np.random.default_rng(seed)

    def network(x: Tensor) -> Tensor:
        for k, n in enumerate((6, 4)):
            with x.builder.block("dense", f"fc{k}", [x]) as out:
                x = x @ (rng.integers(-7, 8, (x.shape[0], n)) / 8) + rng.integers(-9, 10, n) / 16
                out.append(x)
            if n == 6:
                with x.builder.block("relu", "relu", [x]) as out:
                    x = x.relu().cast(Format(5, 3, False, "RND", "SAT"))
                    out.append(x)
        return x

    return trace(network, Format(6, 3), shape=(8,), name="mlp")


def settings(project: hls.Project) -> dict:
    return yaml.safe_load((project.folder / SETTINGS).read_text())


def equal(project: hls.Project) -> bool:
    raw = np.random.default_rng(1).integers(-32, 32, (100, 8))
    return bool(np.array_equal(project.predict_raw(raw), project.graph.run_raw(raw)))


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "Resource", "reuse_factor": {"fc0": 16, "fc1": 3}},
        {"strategy": {"fc0": "distributed_arithmetic", "*": "resource_unrolled"}, "reuse_factor": {"fc1": 6}},
    ],
    ids=["resource", "mixed"],
)
def test_strategies_reach_hls4ml_and_change_no_integer(options: dict, tmp_path: Path) -> None:
    project = hls.export(mlp(), tmp_path / "p", **options)
    found = {r["name"]: r["strategy"] for r in project.layers() if r["strategy"]}
    layers = settings(project)["HLSConfig"]["LayerName"]
    for name, text in found.items():
        strategy, factor = text.split()
        assert (layers[name]["Strategy"], layers[name]["ReuseFactor"]) == (strategy, int(factor))
        assert project.model.graph[name].get_attr("strategy").lower() == strategy.lower()
    assert found["fc1"] in ("Resource 3", "Resource_unrolled 6")
    assert equal(project)


@pytest.mark.parametrize("backend", BACKENDS)
def test_settings_and_scripts_say_what_was_asked(backend: str, tmp_path: Path) -> None:
    part = "10CX220YF780I5G" if backend == "Quartus" else "xc7z020clg400-1"
    project = hls.export(
        mlp(), tmp_path / "p", backend, "net", clock_period=3.5, part=part, io_type="io_stream"
    )
    said = settings(project)
    assert {k: said[k] for k in ("Backend", "ClockPeriod", "Part", "IOType", "ProjectName")} == {
        "Backend": backend, "ClockPeriod": 3.5, "Part": part, "IOType": "io_stream", "ProjectName": "net",
    }  # fmt: skip
    assert said["OutputDir"] == str(tmp_path / "p")
    folder = project.folder
    if backend == "Quartus":
        assert f"DEVICE   := {part}\n" in (folder / "Makefile").read_text()
        assert "net_test.cpp firmware/net.cpp" in (folder / "Makefile").read_text()
        assert "hls_scheduler_target_fmax_mhz(286)" in (folder / "firmware" / "net.cpp").read_text()
    elif backend == "Catapult":
        script = (folder / "build_prj.tcl").read_text()
        assert f"setup_xilinx_part {{{part}}}" in script
        assert "set hls_clock_period 3.5" in script
        assert "net_test.cpp" in script and "firmware/net.cpp" in script
    else:
        script = (folder / "project.tcl").read_text()
        assert f'set part "{part}"' in script
        assert "set clock_period 3.5" in script
        assert 'set project_name "net"' in script
        assert f'set backend "{backend.lower()}"' in script
        assert "source [file join $tcldir project.tcl]" in (folder / "build_prj.tcl").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
def test_bytes_do_not_depend_on_the_folder(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for place in ("one", "another place"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        hls.export(mlp(), "p", backend)
        found.append({str(p): p.read_bytes() for p in Path("p").rglob("*") if p.is_file()})
    assert found[0] == found[1]
    assert not any(str(tmp_path).encode() in text for text in found[0].values())


@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
def test_hls4ml_reads_the_project_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hls4ml

    graph = mlp()
    hls.export(graph, tmp_path / "p", "Quartus")
    linked = hls4ml.converters.link_existing_project(str(tmp_path / "p"))
    linked.compile()
    raw = np.random.default_rng(1).integers(-32, 32, (20, 8))
    values = np.ldexp(raw.astype(float), -3)
    np.testing.assert_array_equal(linked.predict(values), graph.run(values))


def test_numbers_of_numpy_are_numbers_in_the_settings(tmp_path: Path) -> None:
    options = {"clock_period": np.float64(2.5), "reuse_factor": {"fc0": np.int64(2)}}
    said = settings(hls.export(mlp(), tmp_path / "p", **options))
    assert said["ClockPeriod"] == 2.5
    assert said["HLSConfig"]["LayerName"]["fc0"]["ReuseFactor"] == 2


BAD = [
    ({"io_type": "io_serial"}, ValueError, "io_type must be one of io_parallel, io_stream, not 'io_serial'"),
    ({"strategy": "Fast"}, ValueError, "strategy must be one of Latency, Resource, .* for Vitis, not 'Fast'"),
    ({"strategy": {"fc0": 3}}, ValueError, "strategy of layer 'fc0' must be one of"),
    ({"strategy": {"fc9": "Latency"}}, ValueError, "strategy names layer 'fc9', .*: fc0, fc1"),
    ({"reuse_factor": {"relu": 2}}, ValueError, "reuse_factor names layer 'relu', .*: fc0, fc1"),
    ({"reuse_factor": 0}, ValueError, "reuse_factor must be an integer of at least 1, not 0"),
    ({"reuse_factor": {"fc1": 1.5}}, ValueError, "of layer 'fc1' must be an integer of at least 1, not 1.5"),
    (
        {"strategy": "Resource", "reuse_factor": 5}, ValueError,
        r"layer 'fc0' \(8 x 6, Resource\) must be one of 1, 2, 4, 8, 16, 24, 48, not 5",
    ),
    ({"reuse_factor": 49}, ValueError, r"\(8 x 6, Latency\) must be one of 1\.\.48, not 49"),
    ({"strategy": "Resource_unrolled"}, ValueError, "unrolled. must be one of 2, 4, 8, 16, 24, not 1"),
    ({"strategy": "distributed_arithmetic", "reuse_factor": 2}, ValueError, "must be one of 1, not 2"),
    ({"backend": "Quartus", "strategy": "Latency"}, ValueError, "must be one of Resource for Quartus"),
    ({"clock_period": 0}, ValueError, "clock_period must be a positive number of nanoseconds, not 0"),
    ({"clock_period": "5"}, ValueError, "clock_period must be a positive number of nanoseconds, not '5'"),
    ({"part": ""}, ValueError, "part must be the vendor's name of a device, not ''"),
    ({"part": "a; exit"}, ValueError, "part must be one word, not 'a; exit'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), BAD, ids=[str(b[0]) for b in BAD])
def test_what_hls4ml_would_change_is_refused(
    options: dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        hls.export(mlp(), tmp_path / "p", **options)
    assert not (tmp_path / "p").exists()


def test_streams_of_pixels_have_the_unrolled_strategy_alone(tmp_path: Path) -> None:
    graph = trace(
        lambda x: x._apply(ops.Window((2, 2), (1, 1), (1, 1), (0, 0), (0, 0))).reshape(2, 2, 8)
        @ np.arange(16).reshape(8, 2),
        Format(4, 4), shape=(3, 3, 2),
    )  # fmt: skip
    options = {"strategy": "Resource_unrolled", "reuse_factor": 4}
    with pytest.raises(ValueError, match="must not be Resource_unrolled with io_parallel"):
        hls.export(graph, tmp_path / "p", **options)
    found = hls.export(graph, tmp_path / "p", io_type="io_stream", **options).layers()
    assert [r["strategy"] for r in found] == ["Resource_unrolled 4"]


def test_every_reuse_factor_of_a_convolution(tmp_path: Path) -> None:
    """Beyond its inputs, hls4ml's Vitis convolution of arrays gives other sums."""
    factors = list(Target().factors("Resource", "conv", 12, 4))
    assert factors == [1, 2, 3, 4, 6, 12]
    rng = np.random.default_rng(3)
    window = ops.Window((3, 2), (1, 1), (1, 1), (0, 0), (0, 0))

    def network(x: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        for k in factors:
            with x.builder.block("conv2d", f"conv{k}", [x]) as out:
                rows = x._apply(window).reshape(2, 2, 12)
                out.append(rows @ rng.integers(-7, 8, (12, 4)))
            outputs.append(out[0])
        return tuple(outputs)

    graph = trace(network, Format(5, 3), shape=(4, 3, 2))
    asked = {f"conv{k}": k for k in factors}
    project = hls.export(graph, tmp_path / "p", strategy="Resource", reuse_factor=asked)
    raw = rng.integers(-16, 16, (40, 4, 3, 2))
    for got, want in zip(project.predict_raw(raw), graph.run_raw(raw), strict=True):
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match=r"\(12 x 4, Resource\) must be one of 1, 2, 3, 4, 6, 12, not 24"):
        hls.export(graph, tmp_path / "q", strategy="Resource", reuse_factor={"conv1": 24})


def test_distributed_arithmetic_refuses_what_float32_rounds(tmp_path: Path) -> None:
    def network(x: Tensor) -> Tensor:
        return x @ x.builder.apply(ops.Const(IntArray([[(1 << 24) + 1], [3]]), 10))

    graph = trace(network, Format(4, 4), shape=(2,))
    with pytest.raises(ValueError, match=r"'dense' must not be distributed_arithmetic.* weight 16777217"):
        hls.export(graph, tmp_path / "p", strategy="distributed_arithmetic")


def test_hls4ml_that_takes_another_factor_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Target, "factors", lambda *arguments: range(1, 100))
    with pytest.raises(RuntimeError, match="hls4ml changed layer fc0 from Resource, reuse factor 5"):
        hls.export(mlp(), tmp_path / "p", strategy="Resource", reuse_factor=5)


def test_only_graphs_units_and_machines_are_exported(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="graph must be a Graph, a Unit or a Machine, not list"):
        hls.export([], tmp_path / "p")  # type: ignore[call-overload]


def test_depthwise_has_one_strategy(tmp_path: Path) -> None:
    from test_export_layers import depthwise

    rng = np.random.default_rng(3)
    graph = trace(lambda x: depthwise(x, rng, (1, 1)), Format(5, 3), shape=(4, 3, 2))
    project = hls.export(graph, tmp_path / "p", strategy="Resource")
    assert [r["strategy"] for r in project.layers()] == ["Latency 1"]
    with pytest.raises(
        ValueError, match=r"layer 'depthwise', a DepthwiseConv, must be Latency and 1, not .* 2"
    ):
        hls.export(graph, tmp_path / "q", reuse_factor={"depthwise": 2})
