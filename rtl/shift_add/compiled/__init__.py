"""The search's inner loops, compiled with Numba; `entry` is what Python calls."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def content(*folders: Path) -> str:
    """Digest of the Python files of these folders: what was made with other ones is not found again."""
    sha = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.glob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()
