"""Activations by tables, and layer normalization: bit for bit what Vitis' C simulation computes."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from layer_lists import Layers, mismatches

import fxsim
from hls.compile import vendor_types
from hls.plugin.rules import clibrary

NAMES = ("sigmoid", "tanh", "softplus", "softsign", "elu", "selu")


def all_codes(width: int, int_bits: int, signed: bool = True) -> np.ndarray:
    """Every value of a type, one per row of 4."""
    codes = np.arange(1 << width) - ((1 << (width - 1)) if signed else 0)
    return np.repeat(codes[:, None] * 2.0 ** (int_bits - width), 4, axis=1)


def rows(n: int, *inputs: np.ndarray) -> list[np.ndarray]:
    """The inputs repeated to n rows each."""
    return [np.resize(x, (n, *x.shape[1:])) for x in inputs]


def test_every_function_and_type_over_all_codes(build_cache: Path, rng: np.random.Generator) -> None:
    """Narrow types: one table of all codes. fixed<16,6>, wider than 1024 entries, and types whose numbers do
    not fit C++'s int: the index is computed."""
    layers = Layers()
    narrow = layers.input("fixed<9,4>", (4,))
    usual = layers.input("fixed<16,6>", (4,))
    unsigned = layers.input("ufixed<12,5>", (4,))
    coarse = layers.input("fixed<6,9>", (4,))
    wide = layers.input("fixed<40,36>", (4,))
    for name in NAMES:
        activation = {"activation": name, "n_in": 4}
        layers.add("Activation", narrow, "fixed<18,8>", activation)
        layers.add(
            "Activation",
            usual,
            "fixed<8,3,RND,SAT>",
            activation,
            table_t="fixed<12,4,RND,SAT>",
            table_size=256,
        )
    for source, name in product((unsigned, coarse, wide), ("tanh", "elu")):
        layers.add(
            "Activation", source, "fixed<14,4,RND_CONV>", {"activation": name, "n_in": 4}, table_size=600
        )
    layers.add("Activation", wide, "fixed<14,4>", {"activation": "selu", "n_in": 4}, table_size=64)
    elu = {"activation": "elu", "n_in": 4, "activ_param": 0.3}
    layers.add("ELU", usual, "fixed<16,6>", elu, param_t="fixed<6,2,RND>")
    layers.add("ELU", narrow, "ufixed<10,3,TRN_ZERO,SAT>", elu)
    huge = rng.normal(size=(3000, 4)) * 10.0 ** rng.uniform(-2, 11, size=(3000, 1))
    x = rows(
        4096, all_codes(9, 4), rng.uniform(-10, 10, (4096, 4)), all_codes(12, 5, signed=False),
        all_codes(6, 9), huge,
    )  # fmt: skip
    assert mismatches(layers, x) == {}


def test_layer_normalization(build_cache: Path, rng: np.random.Generator) -> None:
    """Accumulators that saturate and round, and wide ones."""
    layers = Layers()
    x = layers.input("fixed<16,6>", (3, 5))
    weights = {"gamma_data": rng.normal(1, 0.3, 5), "beta_data": rng.normal(0, 0.3, 5)}
    attributes = {"n_in": 15, "seq_len": 3, "axis": 2, "epsilon_power_of_10": 3, **weights}
    layers.add("LayerNormalization", x, "fixed<16,6>", attributes)
    layers.add(
        "LayerNormalization", x, "fixed<12,5,RND,SAT>", attributes,
        table_t="ufixed<16,6,RND>", table_size=512, table_range_power2=2, accum_t="fixed<30,14>",
    )  # fmt: skip
    values = rng.normal(size=(2000, 3, 5)) * 2.0 ** rng.integers(-4, 5, size=(2000, 1, 1))
    assert mismatches(layers, [values]) == {}


TYPES = ["fixed<18,8>", "fixed<18,8,RND,SAT>", "fixed<16,6>", "ufixed<24,1,RND>", "fixed<32,8>"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    """The raw entries that g++ makes of hls4ml's own initializers, one list per type and table."""
    folder = tmp_path_factory.mktemp("entries")
    calls = [f"    entries_of<config<{fxsim.Format.parse(t)}>>();" for t in TYPES]
    main = ['#include "table_entries.h"', "int main() {", *calls, "}"]
    (folder / "main.cpp").write_text("\n".join(main))
    include = [f"-I{i}" for i in (vendor_types(), vendor_types().parent, Path(__file__).parent)]
    command = ["g++", "-O1", "-std=c++17", "-w", *include, "main.cpp", "-o", "entries"]
    subprocess.run(command, cwd=folder, check=True)
    text = subprocess.run([folder / "entries"], capture_output=True, text=True, check=True).stdout
    return [[int(v) for v in line.split()] for line in text.splitlines()]


def test_every_table_entry_is_that_of_g_plus_plus(printed: list[list[int]]) -> None:
    """Entry by entry, up to 31 fraction bits: float32 rounding and the C library's last bit included."""
    expected = iter(printed)
    for text in TYPES:
        form = fxsim.Format.parse(text)
        made = [
            clibrary.entries(
                n,
                clibrary.negative_points(1024)
                if n in ("elu", "selu")
                else clibrary.symmetric_points(1024, 4 if n == "tanh" else 8),
                form,
            )
            for n in NAMES
        ]
        made += [
            clibrary.exponentials(512, fxsim.Format.parse("ufixed<15,5>"), 0.7, True, form),
            clibrary.exponentials(512, fxsim.Format.parse("fixed<16,4>"), 0.7, False, form),
            clibrary.inverses(256, fxsim.Format.parse("fixed<18,8>"), form),
            clibrary.legacy_exponentials(1024, form),
            clibrary.legacy_inverses(1024, form),
            clibrary.inverse_roots(4096, 3, 0, form),
        ]
        for k, table in enumerate(made):
            assert table.tolist() == next(expected), (text, k)
    assert next(expected, None) is None


def test_the_error_of_a_table_is_enumerated() -> None:
    """sigmoid over all codes of fixed<9,4>: 1024 entries hold it to an LSB of the table, 8 do not."""
    layers = Layers()
    x = layers.input("fixed<9,4>", (2,))
    attributes = {"activation": "sigmoid", "n_in": 2}
    layers.add("Activation", x, "fixed<18,8>", attributes)
    layers.add("Activation", x, "fixed<18,8>", attributes, table_size=8)
    graph = layers.model("fxsim").integer_graph
    errors = [b.params["max_error"] for b in graph.blocks if b.kind == "table"]
    values = all_codes(9, 4)[:, 0]
    truth = 1 / (1 + np.exp(-values))
    fine, coarse = graph.run_raw(np.repeat(np.arange(-256, 256)[:, None], 2, axis=1))
    assert errors[0] == np.abs(fine[:, 0] / 1024 - truth).max() < 2**-10
    assert errors[1] == np.abs(coarse[:, 0] / 1024 - truth).max() > 0.2


def test_a_table_of_one_entry_is_refused() -> None:
    layers = Layers()
    x = layers.input("fixed<9,4>", (2,))
    layers.add("Activation", x, "fixed<18,8>", {"activation": "tanh", "n_in": 2}, table_size=1)
    with pytest.raises(
        NotImplementedError, match=r"layer 'y0' \(Activation\): table_size must not be 1; make it"
    ):
        layers.model("fxsim").compile()
