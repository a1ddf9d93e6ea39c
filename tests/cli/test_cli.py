"""Every command, in this process: what it writes and prints, as text and as JSON, and its exit status."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fxsim
import fxsim.data
from fxsim.cli import COMMANDS, main
from fxsim.cli.data import read_samples
from fxsim.cli.demo import reference_codes

Data = Callable[..., Any]


def samples(path: Path, folder: Path, count: int = 5) -> tuple[list[np.ndarray], Path]:
    """Raw codes over the whole range of each input, and an .npz that holds them by name."""
    rng = np.random.default_rng(7)
    nodes = fxsim.load(path).inputs
    raw = [rng.integers(n.type.bounds[0], n.type.bounds[1] + 1, (count, *n.type.shape)) for n in nodes]
    np.savez(folder / "raw.npz", **{n.name: a for n, a in zip(nodes, raw, strict=True)})
    return raw, folder / "raw.npz"


def wrong_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the emulator's first output has one wrong bit."""
    right = fxsim.Graph.run_raw

    def run_raw(self: fxsim.Graph, *raw: Any) -> Any:
        out = right(self, *raw)
        first, *rest = out if isinstance(out, tuple) else (out,)
        first = np.array(first)
        first.flat[0] ^= 1
        return (first, *rest) if rest else first

    monkeypatch.setattr(fxsim.Graph, "run_raw", run_raw)


# ---- help and options ----


@pytest.mark.parametrize("command", [c.__name__.rsplit(".", 1)[-1] for c in COMMANDS])
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main([command, "--help"])
    assert e.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "m.fxs", "--samples", "0"], "--samples: must be a whole number from 1 to"),
        (["run", "m.fxs", "--samples", "many"], "not 'many'"),
        (["run", "m.fxs", "--seed", "-1"], "--seed: must be a whole number from 0 to"),
        (["verify", "m.fxs", "--idle", "1"], "--idle: must be a number of at least 0 and below 1, not '1'"),
        (["verify", "m.fxs", "--backpressure", "nan"], "below 1, not 'nan'"),
        (["verify", "m.fxs", "--waves", "w.txt"], "must end in .vcd or .fst, not 'w.txt'"),
        (["run", "m.fxs", "-o", "y.txt"], "must end in .npz, .npy or .csv, not 'y.txt'"),
        (["info", "m.fxs", "--save", "g.npz"], "must end in .fxs, not 'g.npz'"),
        (["demo", "--samples", "501"], "--samples: must be at most 500"),
        (["demo", "--model", "other"], "invalid choice: 'other'"),
        (["hls", "m.fxs", "--backend", "other"], "invalid choice: 'other'"),
        (["other"], "invalid choice: 'other'"),
        ([], "COMMAND"),
    ],
)
def test_bad_options(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(argv)
    assert e.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["info", "FOLDER"], "must be a file, but it is a folder"),
        (["info", "TINY", "--rescale", "threshold"], "--rescale is for model files"),
        (["info", "TINY", "--save", "FOLDER/none/g.fxs"], "does not exist; make it first"),
        (["run", "TINY", "FOLDER"], "must be a file, but it is a folder"),
        (["run", "TINY", "-o", "FOLDER/y.csv"], "output must be .npz for 2 outputs"),
        (["run", "TINY", "-o", "/proc/y.npz"], "cannot write into output folder /proc"),
        (["verilog", "TINY", "-o", "TINY"], "must be a folder, but it is a file"),
        (["verify", "TINY", "--simulator", "native", "--waves", "FOLDER/w.vcd"], "--waves needs"),
        (["verify", "TINY", "--waves", "/proc/w.vcd"], "cannot write into output folder /proc"),
        (["hls", "TINY", "-o", "FOLDER"], "holds files that were not exported here"),
        (["hls", "TINY", "-o", "/proc/hls"], "cannot write into output folder /proc"),
    ],
)
def test_bad_files_and_folders(
    argv: list[str], message: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").write_text("")
    argv = [a.replace("TINY", str(tiny)).replace("FOLDER", str(tmp_path)) for a in argv]
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert main([*argv, "--json"]) == 2
    assert message in json.loads(capsys.readouterr().out)["error"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "it has no samples"),
        ("header.csv", b"x_0,x_1\n", "it has no samples"),
        ("columns.csv", b"1,2,3,4\n", "holds 1 array(s), but the graph has inputs"),
        ("ragged.csv", b"1,2,3,0,0,0\n1,2,3\n", "line 2 must have 6 columns, not 3"),
        ("text.csv", b"1,2,x,0,0,0\n", "line 1 must hold numbers, not 'x'"),
        ("binary.csv", b"\xff\xfe\x00", "cannot be read"),
        ("empty.npy", b"", "damaged or truncated"),
        ("empty.npz", b"", "damaged or truncated"),
        ("text.npy", b"1,2,3\n", "cannot be read"),
        ("data.txt", b"1,2,3\n", "must end in .npy, .npz or .csv, not '.txt'"),
        ("nan.csv", b"1,2,nan,0,0,0\n", "must be whole codes with --raw, not nan at index (0, 2)"),
        ("fraction.csv", b"1,2,0.5,0,0,0\n", "must be whole codes with --raw, not 0.5 at index (0, 2)"),
        ("range.csv", b"1,2,16,0,0,0\n", "must lie in raw -16..15, not 16 at index (0, 2)"),
    ],
)
def test_bad_data(
    name: str, content: bytes, message: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["run", str(tiny), str(tmp_path / name), "--raw"]) == 2
    assert message in capsys.readouterr().err


def test_damaged_archives_are_value_errors(tiny: Path, tmp_path: Path) -> None:
    """Every byte of an .npz and of a saved graph flipped, a few at a time: a ValueError, or still a file."""
    graph = fxsim.load(tiny)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((9, 3)), u=np.zeros((9, 3)))
    readers: dict[Path, Callable[[Path], Any]] = {
        tmp_path / "x.npz": lambda p: read_samples(graph, str(p)),
        tiny: fxsim.load,
    }
    errors = 0
    for source, read in readers.items():
        content = source.read_bytes()
        for k in range(0, len(content), 17):
            bad = tmp_path / f"bad{source.suffix}"
            bad.write_bytes(content[:k] + bytes([content[k] ^ 0x55]) + content[k + 1 :])
            try:
                read(bad)
            except ValueError:
                errors += 1
    assert errors > 20


# ---- info ----


def test_info_prints_and_saves(data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, saved = fxsim.data.digits_model(), tmp_path / "saved.fxs"
    status, found = data("info", model, "--graph", "--save", saved)
    assert status == 0
    assert [i["shape"] for i in found["inputs"]] == [[1, 8, 8]]
    assert found["outputs"][0]["shape"] == [10]
    assert {b["kind"] for b in found["blocks"]} == {"flatten", "dense", "relu", "quantize"}
    assert found["saved"] == str(saved)
    assert main(["info", str(saved)]) == 0
    text = capsys.readouterr().out
    assert "Gemm_0" in text and "ap_ufixed<4,2,AP_RND_CONV,AP_SAT,0>" in text
    x = fxsim.data.digits_samples()[0][:20]
    assert np.array_equal(fxsim.load(saved).run(x), fxsim.load(model).run(x))


def test_rescale_is_passed_on(data: Data) -> None:
    model = fxsim.data.digits_model("digits_mlp_w4a4_floatscale_bn")
    _, dyadic = data("info", model, "--rescale", "dyadic")
    _, threshold = data("info", model, "--rescale", "threshold")
    assert "certified dyadic" in str(dyadic["blocks"]) and "by thresholds" not in str(dyadic["blocks"])
    assert "by thresholds" in str(threshold["blocks"])


# ---- run ----


def test_run_prints_the_outputs_of_the_graph(
    tiny: Path, tmp_path: Path, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, file = samples(tiny, tmp_path)
    graph = fxsim.load(tiny)
    status, found = data("run", tiny, file, "--raw", "--codes")
    assert status == 0 and found["samples"] == 5
    for got, want in zip(found["outputs"].values(), graph.run_raw(*raw), strict=True):
        assert got == want.tolist()
    status, found = data("run", tiny, file, "--raw", "--samples", "2")
    values = graph.run(raw[0][:2] / 8, raw[1][:2] / 4)
    assert found["outputs"] == {k: v.tolist() for k, v in zip(graph.output_names, values, strict=True)}
    assert main(["run", str(tiny), str(file), "--raw"]) == 0
    assert "shape (5, 3)" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv"])
@pytest.mark.parametrize("codes", [True, False])
def test_run_writes_what_it_can_read_again(suffix: str, codes: bool, tmp_path: Path) -> None:
    """The identity as a model: each output file is the next run's data, and nothing changes."""
    graph = fxsim.trace(lambda x: x.reshape((6,)).reshape((2, 3)), fxsim.SQ(2, 5), shape=(2, 3))
    graph.save(tmp_path / "g.fxs")
    raw = np.random.default_rng(3).integers(-64, 64, (4, 2, 3))
    x = raw if codes else raw / 32
    np.save(tmp_path / "x.npy", x)
    options = ["--raw", "--codes"] if codes else []
    files = [tmp_path / "x.npy", tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"]
    for source, target in itertools.pairwise(files):
        assert main(["run", str(tmp_path / "g.fxs"), str(source), "-o", str(target), *options]) == 0
    (got,) = read_samples(graph, str(files[-1]), raw=codes)
    assert np.array_equal(got, x)
    assert len(list(tmp_path.iterdir())) == 4


def test_codes_of_any_width_through_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fxsim.trace(lambda x: -x, fxsim.SQ(40, 60), shape=(2,)).save(tmp_path / "wide.fxs")
    rows = [[(1 << 99) - 1, 3], [-(1 << 99), -(1 << 62) - 1]]
    (tmp_path / "x.csv").write_text("".join(f"{a},{b}\n" for a, b in rows))
    options = [str(tmp_path / "x.csv"), "--raw", "--codes", "-o"]
    assert main(["run", str(tmp_path / "wide.fxs"), *options, str(tmp_path / "y.csv")]) == 0
    got = [[int(v) for v in row] for row in csv.reader((tmp_path / "y.csv").read_text().splitlines())]
    assert got == [[-a, -b] for a, b in rows]
    assert main(["run", str(tmp_path / "wide.fxs"), *options, str(tmp_path / "y.npy")]) == 2
    assert "name a .csv file" in capsys.readouterr().err


# ---- verilog ----


def unpacked(line: str, ports: list[dict[str, Any]]) -> list[int]:
    """The lanes of a payload given as one hexadecimal number, by the layout's own words."""
    payload, lanes = int(line, 16), []
    for p in ports:
        for k in range(int(np.prod(p["shape"]))):
            bits = payload >> (p["offset"] + k * p["width"]) & ((1 << p["width"]) - 1)
            lanes.append(bits - (bits >> (p["width"] - 1) << p["width"] if p["signed"] else 0))
    return lanes


def test_vectors_parse_back_exactly(tiny: Path, tmp_path: Path, data: Data) -> None:
    raw, file = samples(tiny, tmp_path, 40)
    folder = tmp_path / "verilog"
    status, found = data("verilog", tiny, file, "--raw", "-o", folder, "--name", "other")
    assert status == 0 and found["top"] == "other" and found["vectors"] == 40
    assert sorted(found["files"]) == sorted(map(str, folder.iterdir()))
    assert "module other" in (folder / "other.v").read_text()
    layout = json.loads((folder / "other.layout.json").read_text())
    assert (layout["latency"], layout["adders"]) == (found["latency"], found["adders"])
    wanted = {"stimulus": raw, "expected": fxsim.load(tiny).run_raw(*raw)}
    for (name, arrays), side in zip(wanted.items(), ("input", "output"), strict=True):
        rows = np.concatenate([a.reshape(40, -1) for a in arrays], axis=1).tolist()
        header, *lines = csv.reader((folder / f"{name}.csv").read_text().splitlines())
        assert header == [f"{p['name']}_{k}" for p in layout[side]["ports"] for k in range(3)]
        assert [[int(v) for v in line] for line in lines] == rows
        hexadecimal = (folder / f"{name}.hex").read_text().split()
        assert [unpacked(line, layout[side]["ports"]) for line in hexadecimal] == rows


# ---- verify and hls ----


@pytest.mark.parametrize("simulator", ["cocotb", "native", "amaranth"])
def test_verify(simulator: str, tiny: Path, tmp_path: Path, data: Data) -> None:
    # The stimulus that `verilog` writes is data for every other command.
    assert main(["verilog", str(tiny), "-o", str(tmp_path), "--samples", "30", "--seed", "5"]) == 0
    status, found = data("verify", tiny, tmp_path / "stimulus.csv", "--raw", "--simulator", simulator)
    assert status == 0
    assert (found["vectors"], found["mismatches"], found["first_difference"]) == (30, 0, None)
    assert found["cycles"] > 30 and found["simulator"] == simulator


@pytest.mark.parametrize("simulator", ["native", "amaranth"])
def test_verify_reports_a_wrong_bit(
    simulator: str,
    tiny: Path,
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong_emulator(monkeypatch)
    status, found = data("verify", tiny, "--samples", "10", "--simulator", simulator)
    assert status == 1 and found["mismatches"] == 1 and found["first_difference"]
    assert main(["verify", str(tiny), "--samples", "10", "--simulator", simulator]) == 1
    out = capsys.readouterr().out
    assert "10 vectors, 1 mismatches" in out and "first difference: " in out


def test_hls(tiny: Path, tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    status, found = data("hls", tiny, "-o", folder, "--no-simulation")
    assert status == 0 and "mismatches" not in found and (folder / "firmware").is_dir()
    status, found = data("hls", tiny, "-o", folder, "--samples", "20")
    assert status == 0 and (found["vectors"], found["mismatches"]) == (20, 0)
    assert all(row["layer"] for row in found["layers"])
    wrong_emulator(monkeypatch)
    status, found = data("hls", tiny, "-o", folder, "--samples", "20")
    assert status == 1 and found["mismatches"] == 1


# ---- demo ----


@pytest.mark.parametrize("model", fxsim.data.DIGITS)
def test_reference_codes_are_the_outputs_of_all_images(model: str) -> None:
    graph = fxsim.load(fxsim.data.digits_model(model))
    images, _ = fxsim.data.digits_samples()
    raw = graph.encoders[0].encode(images, "images")
    assert np.array_equal(reference_codes(graph, fxsim.data.digits_reference(model)[1]), graph.run_raw(raw))


def test_demo(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["demo", "--samples", "20", "-o", str(tmp_path / "out")]
    status, found = data(*options)
    assert status == 0 and (found["samples"], found["mismatches"]) == (20, 0)
    codes = [s["codes"] for s in found["stages"]]
    assert codes == [None, 20 * (64 + 32 + 32 + 10), None, 200, None, 200]
    assert found["accuracy"] == 1 and found["latency"] > 0 and found["depth"] > 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["hls", "verilog"]

    right, outputs = fxsim.data.digits_reference()
    wrong = right | {"Quant_8_out0": right["Quant_8_out0"].copy()}
    wrong["Quant_8_out0"][3, 7] ^= 1
    monkeypatch.setattr(fxsim.data, "digits_reference", lambda name: (wrong, outputs))
    capsys.readouterr()
    assert main(options) == 1
    captured = capsys.readouterr()
    row = next(line for line in captured.out.splitlines() if line.startswith("total"))
    assert row.split()[1:3] == [str(20 * 138 + 400), "1"]
    assert "accuracy 100.0 %" in captured.out and "[6/6]" in captured.err


# ---- effort ----


def test_effort_of_the_adder_search(tmp_path, data, capsys):
    W = np.random.default_rng(0).integers(-32, 32, size=(8, 8))
    fxsim.trace(lambda x: x @ W, fxsim.SQ(8, 0), shape=(8,)).save(tmp_path / "layer.fxs")
    found = {}
    for effort in ("fast", "0.3"):
        command = ("verilog", tmp_path / "layer.fxs", "-o", tmp_path / effort, "--effort", effort)
        status, out = data(*command)
        assert status == 0
        found[effort] = out["adders"]
    assert found["0.3"] < found["fast"]
    for wrong in ("slow", "0", "nan", "inf"):
        with pytest.raises(SystemExit) as stop:
            main(["verilog", "x.fxs", "--effort", wrong])
        assert stop.value.code == 2
        assert f"must be fast, best or a positive number of seconds, not '{wrong}'" in capsys.readouterr().err


def test_clock_and_family(tmp_path, data, capsys):
    W = np.random.default_rng(0).integers(-32, 32, size=(8, 8))
    fxsim.trace(lambda x: x @ W, fxsim.SQ(8, 0), shape=(8,)).save(tmp_path / "layer.fxs")
    latency = []
    for clock in (60, 120):
        command = ("verilog", tmp_path / "layer.fxs", "-o", tmp_path / "out", "--family", "ecp5")
        status, out = data(*command, "--clock", clock)
        assert status == 0
        latency.append(out["latency"])
    assert latency[0] < latency[1]
    for wrong in ("0", "fast", "inf"):
        with pytest.raises(SystemExit) as stop:
            main(["verilog", "x.fxs", "--clock", wrong])
        assert stop.value.code == 2
        assert f"must be a positive number of MHz, not '{wrong}'" in capsys.readouterr().err
    assert main(["verilog", str(tmp_path / "layer.fxs"), "--clock", "100"]) == 2
    assert "family must be one with delays in ns, not 'generic'" in capsys.readouterr().err
    assert main(["verilog", str(tmp_path / "layer.fxs"), "--family", "max10"]) == 2
    assert "family must be one of generic, ice40, ecp5, not 'max10'" in capsys.readouterr().err
