"""Compiled hls4ml projects, kept in the cache folder under a digest of their sources."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from fxsim import cache
from hls.compile import compiler_version, run_compiler


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
        if p.suffix in (".h", ".hpp", ".cpp", ".txt", ".tb")
    }
    stampless = re.sub(r"LIB_STAMP=\w+", "LIB_STAMP=lib", script)
    texts = [t for name, p in sources.items() for t in (name, p.read_text())]
    # Catapult's script prefers the headers of an installed Catapult.
    vendor = os.environ.get("MGC_HOME", "") if "MGC_HOME" in script else ""
    with cache.entry("hls4ml", cache.digest(compiler_version(), stampless, vendor, *texts)) as draft:
        if not draft.ready:
            for name, p in sources.items():
                (draft.path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(p, draft.path / name)
            # The library reads its weights from the folder it was built in: let that be the final one.
            base = f'BASEDIR="{draft.final}"'
            placed = re.sub(r"^BASEDIR=.*$", lambda _: base, stampless, flags=re.MULTILINE)
            if placed == stampless and "WEIGHTS_DIR" in script:
                raise RuntimeError(
                    "hls4ml's build_lib.sh sets no BASEDIR; this version of hls4ml is not supported"
                )
            (draft.path / "build_lib.sh").write_text(placed)
            run_compiler(["bash", "-e", "build_lib.sh"], draft.path)
        return draft.publish() / "firmware" / f"{project}-lib.so"
