"""Places to write, checked before the work starts, and one writer at a time for a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fxsim.cli.console import Console
from fxsim.files import make_folder


def check_file(path: str | None) -> None:
    """OSError unless `path` can be written as a file (None is no file)."""
    if path is None:
        return
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"output {target} must be a file name, but it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"folder {target.parent} does not exist; make it first, or choose another output"
        )
    make_folder(target.parent)


@contextmanager
def draft_file(path: str | None) -> Iterator[str | None]:
    """A path in a temporary folder beside `path`, same name; its file takes the place of `path` at the end.

    For files that others write bit by bit, by name. None gives None. OSError if nothing was written.
    """
    if path is None:
        yield None
        return
    check_file(path)
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        draft = Path(folder) / target.name
        yield str(draft)
        if not draft.is_file():
            raise OSError(f"{target} was not written")
        os.replace(draft, target)


@contextmanager
def locked(folder: str | Path, console: Console) -> Iterator[None]:
    """Hold the folder (made if missing) against other commands that write into it; wait for them.

    An advisory lock on the folder itself, which the system drops with the process; nothing is left behind.
    """
    path = make_folder(folder)
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.note(f"another command is writing into {path}; waiting for it ...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)
