"""Shipped .keras files with a change: to a member, to the configuration, or to one array."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

DATA = Path(__file__).parent / "data"


def members(family: str) -> dict[str, bytes]:
    with zipfile.ZipFile(DATA / f"{family}.keras") as file:
        return {name: file.read(name) for name in file.namelist()}


def written(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def configured(path: Path, family: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """The model with a changed configuration."""
    content = members(family)
    config = json.loads(content["config.json"])
    change(config)
    return written(path, content | {"config.json": json.dumps(config).encode()})


def weighted(path: Path, family: str, change: Callable[[h5py.File], None]) -> Path:
    """The model with changed weights."""
    content = members(family)
    buffer = io.BytesIO(content["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    return written(path, content | {"model.weights.h5": buffer.getvalue()})


def layer(config: dict[str, Any], name: str) -> dict[str, Any]:
    """The entry of a layer."""
    return next(e for e in config["config"]["layers"] if e["config"].get("name") == name)
