"""fxsim hls: its options reach the project, and bad values are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fxsim.cli import main
from fxsim.data import digits_qdq


def test_options_reach_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "p"
    options = "--backend Quartus --io-type io_stream --reuse-factor t_c2_Conv=8 --reuse-factor t_fc_Gemm=16"
    options += " --strategy resource --clock-period 4 --part 10CX220YF780I5G --samples 30"
    assert main(["hls", str(digits_qdq()), "-o", str(folder), *options.split()]) == 0
    told = capsys.readouterr().out
    assert "30 vectors, 0 mismatches" in told
    assert "Resource 8" in told
    said = yaml.safe_load((folder / "hls4ml_config.yml").read_text())
    assert (said["ClockPeriod"], said["Part"], said["IOType"]) == (4, "10CX220YF780I5G", "io_stream")
    layers = said["HLSConfig"]["LayerName"]
    assert [layers[n]["ReuseFactor"] for n in ("t_c1_Conv", "t_c2_Conv", "t_fc_Gemm")] == [1, 8, 16]


BAD = {
    "--reuse-factor 0": "must be a whole number from 1",
    "--reuse-factor fc=x": "must be a whole number from 1",
    "--reuse-factor fc=": "must be VALUE or LAYER=VALUE, not 'fc='",
    "--strategy =Latency": "must be VALUE or LAYER=VALUE, not '=Latency'",
    "--clock-period 0": "must be a positive number of nanoseconds, not '0'",
    "--backend Vitis2": "invalid choice: 'Vitis2'",
    "--io-type io_serial": "invalid choice: 'io_serial'",
    "--strategy Fast": "strategy must be one of Latency, Resource",
    "--reuse-factor fc=2": "reuse_factor names layer 'fc'",
    "--reuse-factor t_fc_Gemm=3 --strategy Resource": "layer 't_fc_Gemm' (32 x 10, Resource) must be one of",
    "--part a;b": "part must be one word, not 'a;b'",
}


@pytest.mark.parametrize("options", BAD)
def test_bad_values_are_named(options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["hls", str(digits_qdq()), "-o", str(tmp_path / "p"), "--no-simulation", *options.split()]
    try:
        status = main(command)
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    assert status == 2
    assert BAD[options] in capsys.readouterr().err
    assert not (tmp_path / "p").exists()
