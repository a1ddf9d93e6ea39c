"""Reading models and samples for a command; random codes where there are no samples."""

from __future__ import annotations

import argparse
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.cli.arguments import RANDOM_SAMPLES
from fxsim.graph import Graph
from fxsim.integers import Array, exact, shift_left

_DAMAGED = (
    OSError,
    EOFError,
    NotImplementedError,  # zipfile, of a method or version that a flipped bit invents
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,  # NumPy, of an array header
)


def load_model(path: str, arguments: argparse.Namespace | None = None) -> Graph:
    """The graph of a model file, for every command alike."""
    import fxsim

    if Path(path).is_dir():
        raise IsADirectoryError(f"model {path} must be a file, but it is a folder")
    if not Path(path).exists():
        raise FileNotFoundError(f"model file {path} does not exist")
    rescale = getattr(arguments, "rescale", None)
    if rescale is not None and Path(path).suffix.lower() == ".fxs":
        raise ValueError(f"--rescale is for model files; the saved graph {path} is in integers already")
    return fxsim.load(path, **({} if rescale is None else {"rescale": rescale}))


def raw_samples(graph: Graph, arguments: argparse.Namespace) -> list[Array]:
    """Raw codes (batch first) of every input, from the command line's data or at random."""
    if arguments.data is None:
        return random_codes(graph, arguments.samples or RANDOM_SAMPLES, arguments.seed)
    arrays = [a[: arguments.samples] for a in read_samples(graph, arguments.data, arguments.raw)]
    if not all(len(a) for a in arrays):
        raise ValueError(f"data file {arguments.data} must hold at least one sample, but it has none")
    if len({len(a) for a in arrays}) > 1:
        counts = {n.name: len(a) for n, a in zip(graph.inputs, arrays, strict=True)}
        raise ValueError(f"data file {arguments.data} must hold as many samples of each input, not {counts}")
    if arguments.raw:
        return [exact(_whole_codes(a, n.name)) for a, n in zip(arrays, graph.inputs, strict=True)]
    return [e.encode(a, n.name) for e, a, n in zip(graph.encoders, arrays, graph.inputs, strict=True)]


def _whole_codes(a: Array, name: str) -> Array:
    """Codes that a file of floats holds as whole numbers."""
    if a.dtype.kind != "f":
        return a
    wrong = ~((a == np.floor(a)) & (np.abs(a) < 2.0**53))
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"input {name!r} must be whole codes with --raw, not {a[first]} at index {first}")
    return a.astype(np.int64)


def random_codes(graph: Graph, samples: int, seed: int) -> list[Array]:
    """Independent codes, uniform over every element's set."""
    rng = np.random.default_rng(seed)
    out = []
    for node in graph.inputs:
        t = node.type
        step = np.where(t.is_constant, 0, t.stride)
        steps = np.asarray((t.hi - t.lo) >> step)
        if steps.dtype == object or (steps.size and int(steps.max()) >= 1 << 62):
            raise ValueError(f"input {node.name!r} is too wide for random codes; give data")
        k = rng.integers(0, steps + 1, (samples, *t.shape))
        out.append(exact(shift_left(k, step) + t.lo))
    return out


def read_samples(graph: Graph, path: str, raw: bool = False) -> list[Array]:
    """The arrays of a data file, one per input, each reshaped to (samples, *input shape).

    Whole numbers of a CSV file are read as integers if `raw`, exactly and of any width. Raises
    FileNotFoundError, and ValueError for a file that is damaged, of another kind, or of another shape.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"data {path} must be a file, but it is a folder")
    if not file.is_file():
        raise FileNotFoundError(f"data file {path} does not exist")
    names = [n.name for n in graph.inputs]
    found: list[Any]
    suffix = file.suffix.lower()
    if suffix not in (".npy", ".npz", ".csv"):
        raise ValueError(f"data file {path} must end in .npy, .npz or .csv, not {file.suffix!r}")
    try:
        if suffix == ".csv":
            found = _split(read_csv(file, raw), [n.type.size for n in graph.inputs])
        else:
            with file.open("rb") as f:  # ours to close: NumPy leaves a damaged file open
                content = np.load(f, allow_pickle=False)
                if suffix == ".npz" and not isinstance(content, np.ndarray):
                    found = _from_npz({k: content[k] for k in content.files}, names)
                elif isinstance(content, np.ndarray):
                    found = [content]
                else:
                    raise ValueError("it is an .npz archive")
    except _DAMAGED as e:
        raise ValueError(f"data file {path} cannot be read, it is damaged or truncated: {e}") from None
    except ValueError as e:
        raise ValueError(f"data file {path} cannot be read: {e}") from None
    if len(found) != len(names):
        raise ValueError(f"data file {path} holds {len(found)} array(s), but the graph has inputs {names}")
    return [_shaped(np.asarray(a), n.type.shape, n.name) for a, n in zip(found, graph.inputs, strict=True)]


def read_arrays(path: str) -> dict[str, Array]:
    """The arrays of an .npz file by name. FileNotFoundError, and ValueError for a file that is damaged."""
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"data {path} must be a file, but it is a folder")
    if not file.is_file():
        raise FileNotFoundError(f"data file {path} does not exist")
    try:
        with file.open("rb") as f:  # ours to close: NumPy leaves a damaged file open
            content = np.load(f, allow_pickle=False)
            if isinstance(content, np.ndarray):
                raise ValueError("it is a single array, not an .npz archive")
            return {k: content[k] for k in content.files}
    except _DAMAGED as e:
        raise ValueError(f"data file {path} cannot be read, it is damaged or truncated: {e}") from None
    except ValueError as e:
        raise ValueError(f"data file {path} cannot be read: {e}") from None


def read_csv(file: Path, raw: bool = False) -> Array:
    """The numbers of a CSV file, (lines, columns); a first line that does not start with a number is a
    header."""
    rows: list[list[float | int]] = []
    with file.open(encoding="utf-8-sig") as f:
        for number, line in enumerate(f, 1):
            cells = line.strip().split(",")
            if cells == [""] or (number == 1 and not _is_number(cells[0])):
                continue
            try:
                rows.append([_number(c, raw) for c in cells])
            except ValueError:
                bad = next(c for c in cells if not _is_number(c))
                raise ValueError(f"line {number} must hold numbers, not {bad.strip()!r}") from None
            if len(rows[-1]) != len(rows[0]):
                raise ValueError(f"line {number} must have {len(rows[0])} columns, not {len(rows[-1])}")
    if not rows:
        raise ValueError("it has no samples")
    whole = all(isinstance(v, int) for row in rows for v in row)
    return exact(np.array(rows, object)) if whole else np.array(rows, np.float64)


def _split(table: Array, sizes: list[int]) -> list[Array]:
    """The columns of each input, where the columns are those of all inputs side by side."""
    if len(sizes) < 2 or table.shape[1] != sum(sizes):
        return [table]
    return np.split(table, np.cumsum(sizes)[:-1], axis=1)


def _number(text: str, raw: bool) -> float | int:
    if raw:
        try:
            return int(text)
        except ValueError:
            pass
    return float(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _from_npz(arrays: dict[str, Any], names: list[str]) -> list[Any]:
    if all(n in arrays for n in names):
        return [arrays[n] for n in names]
    if len(names) == 1 and "x" in arrays:
        return [arrays["x"]]
    if len(arrays) == len(names):
        return list(arrays.values())
    raise ValueError(f"it has arrays {sorted(arrays)}, but the graph's inputs are {names}")


def _shaped(a: Array, shape: tuple[int, ...], name: str) -> Array:
    if a.shape == shape:
        return a[None]
    size = int(np.prod(shape, dtype=np.int64))
    if a.ndim == 2 and a.shape[1] == size:
        return a.reshape(len(a), *shape)
    if a.ndim != len(shape) + 1 or a.shape[1:] != shape:
        flat = f" (or {size} columns)" if a.ndim == 2 else ""
        raise ValueError(
            f"input {name!r} must have samples of shape {shape}{flat}, not data of shape {a.shape}"
        )
    return a
