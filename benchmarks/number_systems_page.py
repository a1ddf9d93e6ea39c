"""Writes docs/number-systems.md and its pictures from what the two benchmarks print with --json.

python benchmarks/number_systems.py --clock --json > cells.json
python benchmarks/digits_systems.py --luts --json > digits.json
python benchmarks/number_systems_page.py cells.json digits.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fxsim import quantizers as q
from fxsim.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURES = ROOT / "docs" / "number-systems.md", ROOT / "docs" / "images"


class System(NamedTuple):
    """A row of the page: a name, when to take it, and the function of a real number in the picture."""

    name: str
    choose: str
    curve: Callable[[np.ndarray], np.ndarray]


def _codec(codec: q.Codec) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: codec.decode(codec.encode(x))


WEIGHTS = np.linspace(-1, 1, 401)  # what statistics of weights are fitted to in the pictures

SYSTEMS = (
    System(
        "fixed point", "The default. Every tool reads it, and constants in it become adder graphs.",
        _codec(q.FixedPoint.fit(WEIGHTS, 4)),
    ),
    System(
        "power of two", "Weights that load at run time: a product is one shift and one sign.",
        _codec(q.PowerOfTwo(-6, 0)),
    ),
    System(
        "K-hot", "Runtime weights that need more precision: each digit is one shift and one adder more.",
        _codec(q.KHot(2)),
    ),
    System(
        "APoT", "Networks trained for it: levels close to uniform, two or three shifts.",
        _codec(q.APoT.fit(WEIGHTS, 4)),
    ),
    System("DeepShift", "Networks that were trained as shifts and signs.", _codec(q.DeepShift(4))),
    System("INQ", "Networks quantized step by step while training.", _codec(q.INQ.fit(WEIGHTS))),
    System(
        "shared exponent", "Dynamic fixed point: integers of a tensor with one exponent.",
        _codec(q.SharedExponent.fit(WEIGHTS, 4)),
    ),
    System(
        "power exponent", "Long-tailed weights in 3 or 4 bits; decoded before the sum.",
        _codec(q.PowerExponent.fit(WEIGHTS, 4, 0.5)),
    ),
    System(
        "small float", "Both operands vary over a wide range: the codes of L-Mul.",
        _codec(q.SmallFloat(4, 1)),
    ),
    System("two-bit", "FracBNN's activations: two signs, (2m + l) / 3.", _codec(q.TwoBit())),
    System(
        "ternary", "Two bits a weight and no product at all; networks trained for it.",
        _codec(q.Ternary.twn(WEIGHTS)),
    ),
    System(
        "binary", "One bit a weight; with one-bit activations XNOR and popcount.",
        _codec(q.Binary.fit(WEIGHTS)),
    ),
)  # fmt: skip


def picture(system: System, folder: Path) -> str:
    """Draws Q(x) over x; the name of the file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "fxsim"  # the same picture, the same bytes
    from matplotlib import pyplot

    x = np.linspace(-1, 1, 801)
    figure, axes = pyplot.subplots(figsize=(2.4, 1.8))
    axes.plot(x, x, color="0.8", linewidth=1)
    axes.plot(x, system.curve(x), color="C0", linewidth=1.2, drawstyle="steps-mid")
    axes.set(xlabel="real value", ylabel="value of its code", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.spines[["top", "right"]].set_visible(False)
    name = f"number-system-{system.name.replace(' ', '-').lower()}.svg"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(
        folder / name, bbox_inches="tight", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    pyplot.close(figure)
    return name


def table(rows: list[dict[str, Any]], columns: dict[str, Callable[[dict[str, Any]], str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(text(row) for text in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def page(cells: list[dict[str, Any]], digits: list[dict[str, Any]]) -> str:
    text = (ROOT / "benchmarks" / "number-systems.md.in").read_text(encoding="utf-8")
    pictures = "\n".join(
        f"| {s.name} | ![{s.name}: the value of a code over the real value](images/{picture(s, PICTURES)}) "
        f"| {s.choose} |" for s in SYSTEMS
    )  # fmt: skip
    cell = table(cells, {
        "cell": lambda r: str(r["cell"]).replace("|", "\\|"),
        "LUTs (7-series)": lambda r: str(r["LUT"]),
        "worst error": lambda r: str(r.get("worst error", "")),
        "MAC, LUTs (ecp5)": lambda r: str(r.get("MAC LUT (ecp5)", "")),
        "MAC, MHz (ecp5)": lambda r: f"{r['MAC MHz (ecp5)']:.0f}" if "MAC MHz (ecp5)" in r else "",
        "emulator, million cells/s": lambda r: f"{r['cells/s'] / 1e6:.1f}",
    })  # fmt: skip
    digit = table(digits, {
        "weights": lambda r: str(r["system"]),
        "accuracy": lambda r: f"{100 * r['accuracy']:.1f} %",
        "adders": lambda r: str(r["adders"]),
        "LUTs (7-series)": lambda r: str(r.get("LUT", "")),
        "registers": lambda r: str(r.get("FF", "")),
        "cycles": lambda r: str(r["latency"]),
    })  # fmt: skip
    return text.replace("@PICTURES@", pictures).replace("@CELLS@", cell).replace("@DIGITS@", digit)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", type=Path, help="output of number_systems.py --json")
    parser.add_argument("digits", type=Path, help="output of digits_systems.py --json")
    args = parser.parse_args()
    cells, digits = (json.loads(p.read_text(encoding="utf-8")) for p in (args.cells, args.digits))
    write_text(PAGE, page(cells, digits))
    print(f"written: {PAGE.relative_to(ROOT)}, {len(SYSTEMS)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
