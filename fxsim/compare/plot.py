"""The picture of a profile: per tensor the bits that data use, saturation, and the error in dB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.compare.profile import TensorProfile
from fxsim.files import atomic_path

SUFFIXES = (".svg", ".png", ".pdf")
USED, DEAD, CLIPPED, QUIET = "#1f4e79", "#c9d6e4", "#c0504d", "#8a8a8a"
MOST_LABEL = 34


def plot(path: str | Path, tensors: Sequence[TensorProfile], title: str = "") -> Path:
    """Write a picture with a row per tensor: width and needed bits, clipped share, SQNR, and its codes'
    histogram over the proven range.

    Raises ValueError for a suffix other than .svg, .png, .pdf, and ImportError without Matplotlib.
    """
    target = Path(path)
    if target.suffix not in SUFFIXES:
        raise ValueError(f"picture must end in {', '.join(SUFFIXES)}, not {target.name!r}")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as e:
        raise ImportError("a picture needs Matplotlib: install fxsim-hdl[report]") from e
    n = len(tensors)
    figure = Figure(figsize=(12, 1.4 + 0.42 * n), layout="constrained")
    FigureCanvasAgg(figure)
    bits, clipped, noise, spread = figure.subplots(1, 4, sharey=True, width_ratios=(3, 2, 2, 4), squeeze=True)
    rows = np.arange(n)
    labels = [t.name if len(t.name) <= MOST_LABEL else "..." + t.name[-(MOST_LABEL - 3) :] for t in tensors]
    bits.barh(rows, [t.width for t in tensors], color=DEAD, label="width")
    bits.barh(rows, [t.needed for t in tensors], color=USED, label="needed by the data")
    bits.set_yticks(rows, labels, fontsize=8)
    bits.set_ylim(n - 0.5, -0.5)
    bits.set_xlabel("bits")
    bits.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    for k, side in enumerate(("saturated_low", "saturated_high")):
        shares = [100 * (getattr(t, side) or 0.0) for t in tensors]
        clipped.barh(rows + (k - 0.5) * 0.35, shares, 0.35, color=(QUIET, CLIPPED)[k], label=side[10:])
    clipped.set_xlabel("clipped, % of codes")
    clipped.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    levels = [t.sqnr if np.isfinite(t.sqnr) else 0.0 for t in tensors]
    noise.barh(rows, levels, color=USED)
    for row, t in enumerate(tensors):
        if not np.isfinite(t.sqnr):
            noise.annotate("exact" if t.sqnr > 0 else "all error", (0, row), fontsize=7, va="center")
    noise.set_xlabel("SQNR, dB")
    _histograms(spread, tensors)
    if title:
        figure.suptitle(title, fontsize=10)
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format=target.suffix[1:], dpi=120)
    return target


def _histograms(axes: Any, tensors: Sequence[TensorProfile], bins: int = 64) -> None:
    """Per row how often each part of the proven range occurs, each row scaled to its largest bin."""
    for row, t in enumerate(tensors):
        low, high = t.proven_low, max(t.proven_high, t.proven_low + 1)
        places = (t.codes.ravel().astype(np.float64) - low) / (high - low)
        counts, edges = np.histogram(places, min(bins, high - low + 1), (0.0, 1.0))
        heights = 0.8 * counts / max(counts.max(), 1)
        axes.bar(
            edges[:-1], -heights, np.diff(edges), bottom=row + 0.4, align="edge", color=USED, linewidth=0
        )
        axes.annotate(str(low), (0, row - 0.15), fontsize=6, color=QUIET)
        axes.annotate(str(t.proven_high), (1, row - 0.15), fontsize=6, color=QUIET, ha="right")
    axes.set_xticks([])
    axes.set_xlabel("codes over the proven range")
