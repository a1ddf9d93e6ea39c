"""Reading samples for a graph from .npy, .npz or .csv, and making random codes where there are none."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array, exact, shift_left

RANDOM_SAMPLES = 256


def add_sample_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "data", nargs="?",
        help=".npy, .npz (an array per input, by name or in order) or .csv (a sample a row); "
        f"default: {RANDOM_SAMPLES} random samples over all input codes",
    )  # fmt: skip
    p.add_argument("--raw", action="store_true", help="the data are raw integer codes, not real values")
    p.add_argument("--samples", type=positive, metavar="N", help="use the first N samples (or N random ones)")
    p.add_argument("--seed", type=int, default=0, help="seed of random samples and stalls (default 0)")


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def probability(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, not {text}")
    return value


def raw_samples(graph: Graph, arguments: argparse.Namespace) -> list[Array]:
    """Raw codes (batch first) of every input, from the command line's data or at random."""
    if arguments.data is None:
        return random_codes(graph, arguments.samples or RANDOM_SAMPLES, arguments.seed)
    arrays = [a[: arguments.samples] for a in read_samples(graph, arguments.data)]
    if arguments.raw:
        return [exact(_integers(a, n.name)) for a, n in zip(arrays, graph.inputs, strict=True)]
    return [e.encode(a, n.name) for e, a, n in zip(graph.encoders, arrays, graph.inputs, strict=True)]


def _integers(a: Array, name: str) -> Array:
    """Codes that a CSV or a float file holds as whole numbers."""
    if a.dtype.kind != "f":
        return a
    if not np.all(a == np.floor(a)):
        raise ValueError(f"input {name!r} must be whole codes with --raw, but the data have fractions")
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


def read_samples(graph: Graph, path: str) -> list[Array]:
    """The arrays of a data file, one per input, each reshaped to (samples, *input shape)."""
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"data file {path} does not exist")
    names = [n.name for n in graph.inputs]
    found: list[Any]
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as z:
                found = _from_npz({k: z[k] for k in z.files}, names, path)
        elif file.suffix == ".npy":
            found = [np.load(file, allow_pickle=False)]
        elif file.suffix == ".csv":
            found = [np.loadtxt(file, delimiter=",", ndmin=2, skiprows=_header_rows(file))]
        else:
            raise ValueError(f"data file {path} must end in .npy, .npz or .csv, not {file.suffix!r}")
    except (EOFError, zipfile.BadZipFile) as e:
        raise ValueError(f"data file {path} is truncated or not an array file: {e}") from None
    except ValueError as e:
        raise ValueError(f"data file {path} cannot be read: {e}") from None
    if len(found) != len(names):
        raise ValueError(f"data file {path} holds {len(found)} array(s), but the graph has inputs {names}")
    return [_shaped(np.asarray(a), n.type.shape, n.name) for a, n in zip(found, graph.inputs, strict=True)]


def _from_npz(arrays: dict[str, Any], names: list[str], path: str) -> list[Any]:
    if all(n in arrays for n in names):
        return [arrays[n] for n in names]
    if len(names) == 1 and "x" in arrays:
        return [arrays["x"]]
    if len(arrays) == len(names):
        return list(arrays.values())
    raise ValueError(f"it has arrays {sorted(arrays)}, but the graph's inputs are {names}")


def _header_rows(file: Path) -> int:
    with file.open(encoding="utf-8") as f:
        first = f.readline().split(",")[0].strip()
    try:
        float(first)
    except ValueError:
        return 1
    return 0


def _shaped(a: Array, shape: tuple[int, ...], name: str) -> Array:
    if a.shape == shape:
        return a[None]
    size = int(np.prod(shape, dtype=np.int64))
    if a.ndim == 2 and a.shape[1] == size:
        return a.reshape(len(a), *shape)
    if a.ndim != len(shape) + 1 or a.shape[1:] != shape:
        raise ValueError(f"input {name!r} needs samples of shape {shape}, not an array of shape {a.shape}")
    return a


def load_model(path: str, arguments: argparse.Namespace | None = None) -> Graph:
    """The graph of a model file, for every command alike."""
    import fxsim

    if not Path(path).exists():
        raise FileNotFoundError(f"model file {path} does not exist")
    rescale = getattr(arguments, "rescale", None)
    return fxsim.load(path, **({"rescale": rescale} if rescale and rescale != "auto" else {}))


def add_model_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument("model", help="model file: QONNX (.onnx) or a saved graph (.fxs)")
    p.add_argument(
        "--rescale", choices=("auto", "dyadic", "threshold"), default="auto",
        help="how float scales become integers (default: the cheaper, per layer)",
    )  # fmt: skip
