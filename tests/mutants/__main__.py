"""Apply each small wrong change of `catalogue.py` to a copy of the project and show that the tests kill it.

    python -m tests.mutants [NAME ...] [--list] [--jobs N]

A mutant is killed when its tests fail. First the same tests must pass without any change; a mutant whose old
text is not found exactly once is an error. Exit status 0 only if all are killed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("fxsim", "rtl", "hls", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "README.md")
TIMEOUT = (
    900  # seconds for one mutant's tests: a mutant that hangs a simulation is bounded, and counts as killed
)


def main() -> int:
    p = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    p.add_argument("names", nargs="*", help="mutants to run (default: all)")
    p.add_argument("--list", action="store_true", help="list the mutants and stop")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    arguments = p.parse_args()
    chosen = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    unknown = set(arguments.names) - {m.name for m in MUTANTS}
    if unknown:
        p.error(f"no mutant is named {', '.join(sorted(unknown))}")
    if arguments.list:
        for m in chosen:
            print(f"{m.name:32} {m.file}: {m.why}")
        return 0
    for m in chosen:
        check(m)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        base = Path(folder)
        tests = sorted({t for m in chosen for t in m.tests})
        print(f"{len(tests)} test selections without a change ...", flush=True)
        status, output, seconds = run(copy(base / "unchanged"), tests)
        if status:
            print(output)
            print("the tests fail without any change, so nothing can be said of mutants")
            return 2
        print(f"pass in {seconds:.0f} s", flush=True)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            survivors = [m for m, killed in pool.map(lambda m: (m, attempt(base, m)), chosen) if not killed]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


def check(m: Mutant) -> None:
    """SystemExit if the catalogue does not fit the code."""
    found = (ROOT / m.file).read_text(encoding="utf-8").count(m.old)
    if found != 1:
        raise SystemExit(f"mutant {m.name}: the old text must stand once in {m.file}, not {found} times")


def attempt(base: Path, m: Mutant) -> bool:
    """Is the mutant killed? Prints one line."""
    folder = copy(base / m.name)
    target = folder / m.file
    target.write_text(target.read_text(encoding="utf-8").replace(m.old, m.new), encoding="utf-8")
    status, output, seconds = run(folder, list(m.tests))
    # pytest's 1 is "tests failed"; 2 (an error while collecting) would kill any syntax error and proves
    # nothing.
    killed = status in (1, 124)
    last = next(
        (line for line in reversed(output.splitlines()) if line.startswith("FAILED")), f"status {status}"
    )
    print(f"{'killed  ' if killed else 'SURVIVED'} {m.name:32} {seconds:4.0f} s  {last[:110]}", flush=True)
    shutil.rmtree(folder)
    return killed


def copy(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "build"))
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


def run(folder: Path, tests: list[str]) -> tuple[int, str, float]:
    """(pytest's exit status, output, seconds) of a selection in a copy, stopping at the first failure."""
    start = time.perf_counter()
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FXSIM_CACHE": os.environ.get(
            "FXSIM_CACHE", str(ROOT / "build" / "cache")
        ),  # keyed by content: shared
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, "timed out", TIMEOUT
    return done.returncode, done.stdout + done.stderr, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
