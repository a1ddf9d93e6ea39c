"""Compiled hls4ml projects, kept in the cache folder under a digest of their sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from hls.compile import cache_folder, compiler_version, digest


def built(folder: Path, project: str) -> Path:
    """The shared library of the project in `folder`, built by its own build_lib.sh or found in the cache.

    The build happens in a copy inside the cache, which the library goes on reading its weights from; so the
    project folder may be moved or removed. FileNotFoundError without g++, RuntimeError where it refuses the
    code.
    """
    script = (folder / "build_lib.sh").read_text()
    sources = {
        str(p.relative_to(folder)): p
        for p in [*sorted((folder / "firmware").rglob("*")), folder / f"{project}_bridge.cpp"]
        if p.suffix in (".h", ".cpp", ".txt")
    }
    stampless = re.sub(r"LIB_STAMP=\w+", "LIB_STAMP=lib", script)
    texts = [t for name, p in sources.items() for t in (name, p.read_text())]
    final = cache_folder() / f"hls4ml-{digest(compiler_version(), stampless, *texts)}"
    library = final / "firmware" / f"{project}-lib.so"
    if library.exists():
        return library
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=final.parent))
    try:
        for name, p in sources.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(p, draft / name)
        # The library reads its weights from the folder it was built in: let that be the final one.
        placed = re.sub(r"^BASEDIR=.*$", lambda _: f'BASEDIR="{final}"', stampless, flags=re.MULTILINE)
        if placed == stampless:
            raise RuntimeError(
                "hls4ml's build_lib.sh sets no BASEDIR; this version of hls4ml is not supported"
            )
        (draft / "build_lib.sh").write_text(placed)
        _run(["bash", "build_lib.sh"], draft)
        draft.chmod(0o755)
        try:
            os.rename(draft, final)
        except OSError:
            if not library.exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return library


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [t for t in done.stderr.splitlines() if "error" in t][:8] or done.stderr.splitlines()[:8]
        raise RuntimeError("g++ failed on the hls4ml project:\n" + "\n".join(lines))
