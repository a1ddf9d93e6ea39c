"""The members of a .keras file as plain data: JSON and arrays, read within limits, nothing executed."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.integers import Array

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
CONFIG_BYTES = 1 << 26
WEIGHT_BYTES = 1 << 30
MAX_GROUPS = 1 << 17
MAX_DEPTH = 48


@dataclass(frozen=True, eq=False)
class Group:
    """One object's place in the weights file: its variables in order, and the objects that it holds."""

    path: str
    name: str | None
    variables: tuple[Array, ...] = ()
    children: Mapping[str, Group] = field(default_factory=dict)

    def child(self, *path: str) -> Group | None:
        """The group at a path below this one, None where there is none."""
        found: Group | None = self
        for part in path:
            found = None if found is None else found.children.get(part)
        return found


@dataclass(frozen=True, eq=False)
class Archive:
    """What the file says: the model's configuration and the root of its weights."""

    path: Path
    config: Mapping[str, Any]
    weights: Group


def read_archive(path: Path) -> Archive:
    """The members of a .keras file; ValueError for a damaged, foreign or oversized one."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
            if WEIGHTS not in names and any(n.startswith("model.weights") for n in names):
                raise ValueError(
                    f"{path} keeps its weights in another form than {WEIGHTS}; save it with "
                    f"model.save(...), which writes that member"
                )
            missing = [n for n in (CONFIG, WEIGHTS) if n not in names]
            if missing:
                raise ValueError(
                    f"{path} is no Keras 3 model: it has no {' and no '.join(missing)}; "
                    f"save the whole model with model.save('model.keras')"
                )
            text = _member(file, path, CONFIG, CONFIG_BYTES)
            data = _member(file, path, WEIGHTS, WEIGHT_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as e:
        if isinstance(e, FileNotFoundError):
            raise
        raise ValueError(f"{path} is no .keras file (a zip), or it is damaged: {e}; save it again") from None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise ValueError(f"{path}: {CONFIG} is damaged: {e}; save the model again") from None
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ValueError(f"{path}: {CONFIG} describes no model; save it with model.save('model.keras')")
    return Archive(path, config, _weights(path, data))


def _member(file: zipfile.ZipFile, path: Path, name: str, limit: int) -> bytes:
    """One member's bytes; ValueError where it declares more than `limit`."""
    size = file.getinfo(name).file_size
    if size > limit:
        raise ValueError(f"{path}: {name} declares {size} bytes, which is beyond the limit of {limit}")
    with file.open(name) as member:
        return member.read(limit)


def _weights(path: Path, data: bytes) -> Group:
    try:
        import h5py
    except ImportError as e:
        raise ImportError("reading .keras files needs h5py: install fxsim-hdl[keras]") from e
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _Walk(path).group(file, "", 0)
    except ValueError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError) as e:
        raise ValueError(f"{path}: {WEIGHTS} is damaged: {e}; save the model again") from None


class _Walk:
    """One pass over the file's groups; optimizer state is left out, links and outside storage refused."""

    def __init__(self, path: Path) -> None:
        self.path, self.groups, self.bytes = path, 0, 0

    def group(self, group: Any, where: str, depth: int) -> Group:
        import h5py

        self.groups += 1
        if self.groups > MAX_GROUPS or depth > MAX_DEPTH:
            raise ValueError(
                f"{self.path}: {WEIGHTS} has more than {MAX_GROUPS} groups, or groups nested more than "
                f"{MAX_DEPTH} deep; it is damaged"
            )
        children: dict[str, Group] = {}
        variables: list[Array] = []
        name: str | None = None
        for key in group:
            if not where and key == "optimizer":
                continue
            at = f"{where}/{key}".lstrip("/")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(
                    f"{self.path}: {WEIGHTS} links {at!r} to another place; save the model again"
                )
            item = group[key]
            if key == "vars" and isinstance(item, h5py.Group):
                label = item.attrs.get("name")
                name = label if isinstance(label, str) else None
                variables = self.variables(item, at)
            elif isinstance(item, h5py.Group):
                children[key] = self.group(item, at, depth + 1)
        return Group(where, name, tuple(variables), children)

    def variables(self, group: Any, where: str) -> list[Array]:
        """The variables "0", "1", ... of one object; ValueError names the first that cannot be read."""
        import h5py

        out: list[Array] = []
        while (key := str(len(out))) in group:
            at = f"{where}/{key}"
            item = group[key] if isinstance(group.get(key, getlink=True), h5py.HardLink) else None
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.shape is None:
                raise ValueError(f"{self.path}: {WEIGHTS} has no plain array at {at!r}; save the model again")
            if item.dtype.kind not in "fiub":
                # A seed generator's state or a string: no layer that is read has it.
                raise ValueError(f"{self.path}: {WEIGHTS} has {item.dtype} at {at!r}, not numbers")
            self.bytes += int(np.prod(item.shape, dtype=object)) * item.dtype.itemsize
            if self.bytes > WEIGHT_BYTES:
                raise ValueError(
                    f"{self.path}: {WEIGHTS} declares more than {WEIGHT_BYTES} bytes of numbers, up to {at!r}"
                )
            out.append(np.asarray(item[()]))
        return out
