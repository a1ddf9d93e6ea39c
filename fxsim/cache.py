"""A folder of finished builds, keyed by content: an entry appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT = "FXSIM_CACHE"
"""Environment variable that names the folder."""

_DAY = 86400.0  # seconds
_STALE, _UNUSED = _DAY, 60 * _DAY  # ages at which a killed process's draft, an unused entry are swept away


def directory() -> Path:
    """`$FXSIM_CACHE`, else `fxsim` in the user's cache folder of the platform; created if missing.

    Raises OSError that names the folder and the variable if it cannot be written.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        path = Path(named).expanduser().absolute()
    elif sys.platform == "darwin":
        path = Path.home() / "Library" / "Caches" / "fxsim"
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fxsim"
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK)
    except OSError as error:
        raise OSError(
            f"cache folder {path} cannot be made ({error.strerror}); set {ENVIRONMENT} to another"
        ) from error
    if not writable:
        raise OSError(f"cache folder {path} must be writable; set {ENVIRONMENT} to another")
    return path


def digest(*parts: object) -> str:
    """Hexadecimal key of the texts of `parts`."""
    sha = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()[:20]


@dataclass
class Draft:
    """One entry: `path` is the finished folder if `ready`, else an empty one to fill."""

    name: str
    path: Path
    ready: bool
    final: Path = field(repr=False)

    def publish(self) -> Path:
        """Move the filled folder to its place in one step; a concurrent winner is kept."""
        if not self.ready:
            try:
                os.rename(self.path, self.final)
            except OSError:
                if not self.final.is_dir():
                    raise
                shutil.rmtree(self.path, ignore_errors=True)
            self.path, self.ready = self.final, True
        return self.path


@contextlib.contextmanager
def entry(kind: str, key: str) -> Iterator[Draft]:
    """The entry `kind-key`; no other process builds it meanwhile. What is not published is removed."""
    root = directory()
    final = root / f"{kind}-{key}"
    if final.is_dir():
        with contextlib.suppress(OSError):
            os.utime(final)  # the time of last use, for the sweep
        yield Draft(final.name, final, True, final)
        return
    with _lock(root / f"{final.name}.lock"):
        if final.is_dir():
            yield Draft(final.name, final, True, final)
            return
        _sweep(root)
        draft = Draft(final.name, Path(tempfile.mkdtemp(prefix="draft-", dir=root)), False, final)
        draft.path.chmod(0o755)
        try:
            yield draft
        finally:
            if not draft.ready:
                shutil.rmtree(draft.path, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Advisory lock, freed by the system when its holder dies; without it two builders do the work twice."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(path, "a") as handle:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _sweep(root: Path) -> None:
    """Remove what a killed process left half done, and entries that nobody used for long."""
    now = time.time()
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            limit = _STALE if path.name.startswith("draft-") else _UNUSED
            if now - path.stat().st_mtime > limit:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.suffix == ".lock":
                    path.unlink()
