"""Every page and the README show what the code does, and link to what exists."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fxsim.load import loader
from fxsim.load.nodes import supported

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n(?=(?:\n*^```text\n(.*?)^```\n)?)", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(?:#|//) ([\w./]+\.\w+)\n")


@dataclass(frozen=True)
class Code:
    """A block of a page: its language, text, first line, and the `text` block right below it, if any."""

    language: str
    text: str
    line: int
    output: str | None


def blocks(page: Path) -> list[Code]:
    text = page.read_text(encoding="utf-8")
    return [
        Code(m[1], m[2], text.count("\n", 0, m.start(2)) + 1, m[3])
        for m in FENCE.finditer(text)
    ]  # fmt: skip


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in; environment and op handlers are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.syspath_prepend(str(tmp_path))
    environment = dict(os.environ)
    programs = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    os.environ.update(PATH=programs, PYTHONPATH=str(ROOT))
    # the benches of the pages are short: compiling them fast is worth more than their speed
    os.environ["MAKEFLAGS"] = "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
    assert supported()  # all handlers of the package's nodes are registered by now
    yield tmp_path
    for op, handler in list(loader.HANDLERS.items()):
        if not handler.__module__.startswith("fxsim."):  # a page's own
            del loader.HANDLERS[op]
    os.environ.clear()
    os.environ.update(environment)


def runs(code: Code) -> bool:
    return code.language == "python" or (code.language == "sh" and code.output is not None)


@pytest.mark.parametrize("page", [p for p in PAGES if any(map(runs, blocks(p)))], ids=lambda p: p.stem)
def test_code_prints_what_the_page_says(page: Path, sandbox: Path) -> None:
    """Python blocks in one namespace, `>>>` as doctest, shell blocks in the repository; output as below.

    A block whose first line is a comment with a file name is that file, beside which later blocks run.
    """
    names: dict[str, object] = {"__name__": "__main__"}
    for code in blocks(page):
        named = FILE.match(code.text)
        if named:
            (sandbox / named[1]).write_text(code.text)
        elif code.language == "python" and ">>> " not in code.text:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * (code.line - 1) + code.text, str(page), "exec"), names)
            assert out.getvalue() == (code.output or ""), f"{page.name}, line {code.line}"
        elif code.language == "sh" and code.output is not None:
            done = subprocess.run(["bash", "-ec", code.text], cwd=ROOT, capture_output=True, text=True)
            assert (done.returncode, done.stdout) == (0, code.output), f"{code.text}{done.stderr}"
    failures, _ = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert failures == 0


def test_every_example_is_run_by_a_page() -> None:
    shown = "".join(code.text for page in PAGES for code in blocks(page) if runs(code))
    assert set(re.findall(r"examples/\w+\.py", shown)) == {
        f"examples/{p.name}" for p in (ROOT / "examples").glob("*.py")
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_and_names_of_files_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)#\s]+[^)\s]*)\)", text)]
    files = re.findall(r"`((?:fxsim|rtl|hls|tests|benchmarks|examples|scripts|docs)/[\w./-]+)`", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_index_has_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [p.name for p in DOCS if p.name != "index.md" and f"]({p.name})" not in text] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
