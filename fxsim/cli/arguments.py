"""Options that several commands share, and the types that check them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

RANDOM_SAMPLES = 256


def add_model_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "model", metavar="MODEL", help="model file: .onnx, .keras, .tflite, or a saved graph (.fxs)"
    )
    p.add_argument(
        "--rescale", choices=("auto", "dyadic", "threshold"),
        help="how float scales become integers (default auto: the cheaper, per layer)",
    )  # fmt: skip


def add_sample_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "data", metavar="DATA", nargs="?",
        help=".npy, .npz (an array per input, by name or in order) or .csv (a sample a row); "
        f"default: {RANDOM_SAMPLES} random samples over all input codes",
    )  # fmt: skip
    p.add_argument("--raw", action="store_true", help="the data are raw integer codes, not real values")
    p.add_argument("--samples", type=positive, metavar="N", help="use the first N samples (or N random ones)")
    p.add_argument("--seed", type=natural, default=0, metavar="S", help="seed of what is random (default 0)")


def add_stall_arguments(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--idle", type=probability, default=0.25, metavar="P",
        help="chance, each cycle, that the source offers nothing (default 0.25)",
    )  # fmt: skip
    p.add_argument(
        "--backpressure", type=probability, default=0.25, metavar="P",
        help="chance, each cycle, that the sink is not ready (default 0.25)",
    )  # fmt: skip


def positive(text: str) -> int:
    return _whole(text, 1)


def natural(text: str) -> int:
    return _whole(text, 0)


def effort(text: str) -> str | float:
    """Of a search: "fast", "best", or seconds."""
    return text if text in ("fast", "best") else _real(text, "fast, best or a positive number of seconds")


def frequency(text: str) -> float:
    """Of a clock, MHz."""
    return _real(text, "a positive number of MHz")


def rate(text: str) -> float:
    """Frames per second."""
    return _real(text, "a positive number of frames per second")


def nanoseconds(text: str) -> float:
    """Of a clock's period; a whole number stays one in what is written with it."""
    value = _real(text, "a positive number of nanoseconds")
    return int(value) if value == int(value) else value


def _real(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
    return value


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value < 1 << 31:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {least} to {(1 << 31) - 1}, not {text!r}"
        )
    return value


def probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0 and below 1, not {text!r}")
    return value


def file_name(*suffixes: str) -> Callable[[str], str]:
    """The type of an option that names a file to write, by its suffix."""

    def check(text: str) -> str:
        choices = " or ".join([", ".join(suffixes[:-1]), suffixes[-1]][len(suffixes) < 2 :])
        if Path(text).suffix not in suffixes:
            raise argparse.ArgumentTypeError(f"must end in {choices}, not {text!r}")
        return text

    return check
