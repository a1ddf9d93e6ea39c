"""Seeded random networks of many hls4ml layers side by side, each an output of its own, with random types."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.model.graph import ModelGraph

ROUNDINGS = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_ZERO", "SAT_SYM")


class Layers:
    """Layer dictionaries as hls4ml's front ends make them. Each method adds one and returns its name."""

    def __init__(self, seed: int, io_type: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.io_type = io_type
        self.layers: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def model(self, backend: str, folder: Any) -> ModelGraph:
        """The ModelGraph of all layers."""
        config = get_backend(backend).create_initial_config(io_type=self.io_type)
        config |= {"OutputDir": str(folder), "ProjectName": "zoo", "Backend": backend}
        model = {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"}
        config["HLSConfig"] = {"Model": model, "LayerName": copy.deepcopy(self.config)}
        return ModelGraph.from_layer_list(config, copy.deepcopy(self.layers), self.inputs, self.outputs)

    def samples(self, count: int) -> list[np.ndarray]:
        """Inputs, some beyond their types."""
        return [self.numbers(count, *self.shapes[name]) * 2 for name in self.inputs]

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def numbers(self, *shape: int) -> np.ndarray:
        """Decimal numbers, which the text of weights rounds."""
        return self.rng.integers(-3000, 3001, size=shape) / 1000

    def type(self, whole: tuple[int, int] = (1, 4), bits: int = 9, signed: bool | None = None) -> str:
        """A random type: `whole` bounds the bits before the point, `bits` all of them."""
        plus = self.rng.random() < 0.75 if signed is None else signed
        before = int(self.rng.integers(*whole)) + (1 if plus and whole[0] < 2 else 0)
        after = int(self.rng.integers(1, max(bits - before, 2)))
        modes = (
            ("TRN", "WRAP") if self.rng.random() < 0.35 else (self.pick(*ROUNDINGS), self.pick(*OVERFLOWS))
        )
        return f"{'' if plus else 'u'}fixed<{before + after},{before},{modes[0]},{modes[1]}>"

    def accum(self, tight: bool = False) -> str:
        """A random accumulator: wide and exact in some cases, else one that rounds and overflows."""
        if tight:
            return self.type((2, 4), 8, signed=True)
        if self.rng.random() < 0.3:
            return f"fixed<{int(self.rng.integers(18, 26))},{int(self.rng.integers(8, 10))}>"
        return self.type((2, 6), 12, signed=True)

    def add(
        self, layer: dict[str, Any], shape: tuple[int, ...], types: dict[str, str], output: bool = True,
        **config: Any,
    ) -> str:  # fmt: skip
        name = f"{layer['class_name'].lower()}{len(self.layers)}"
        self.layers.append(layer | {"name": name})
        self.shapes[name] = tuple(shape)
        self.config[name] = {"Precision": types, "ReuseFactor": 1, "Strategy": "Latency"} | config
        if output:
            self.outputs.append(name)
        return name

    def input(self, *shape: int, type: str | None = None) -> str:
        layer = {"class_name": "InputLayer", "input_shape": list(shape)}
        name = self.add(layer, shape, {"result": type or self.type((2, 5), 10)}, output=False)
        self.inputs.append(name)
        return name

    def _kernel_types(self, tight: bool) -> dict[str, str]:
        return {k: self.type() for k in ("result", "weight", "bias")} | {"accum": self.accum(tight)}

    def dense(
        self, x: str, outputs: int = 4, strategy: str = "Latency", reuse: int = 1, tight: bool = False,
        **types: str,
    ) -> str:  # fmt: skip
        n = self.shapes[x][-1]
        layer = {
            "class_name": "Dense", "inputs": [x], "n_in": n, "n_out": outputs,
            "weight_data": self.numbers(n, outputs), "bias_data": self.numbers(outputs),
            "data_format": "channels_last",
        }  # fmt: skip
        types = self._kernel_types(tight) | types
        return self.add(layer, (outputs,), types, Strategy=strategy, ReuseFactor=reuse)

    def conv(
        self, x: str, kernel: tuple[int, ...], stride: tuple[int, ...] | None = None,
        pads: tuple[int, ...] | None = None, filters: int = 3, depthwise: bool = False,
        strategy: str = "Latency", reuse: int = 1, output: bool = True, **config: Any,
    ) -> str:  # fmt: skip
        *space, channels = self.shapes[x]
        n = len(space)
        layer, made = self._geometry(space, kernel, stride or (1,) * n, pads or (0,) * (2 * n), "filt")
        filters = channels if depthwise else filters
        layer |= {
            "class_name": f"{'Depthwise' if depthwise else ''}Conv{n}D", "inputs": [x], "n_chan": channels,
            "n_filt": filters, "padding": "same" if pads else "valid", "data_format": "channels_last",
            "bias_data": self.numbers(filters),
        }  # fmt: skip
        if depthwise:
            layer |= {"depthwise_data": self.numbers(*kernel, channels, 1), "depth_multiplier": 1}
        else:
            layer["weight_data"] = self.numbers(*kernel, channels, filters)
        config |= {"Strategy": strategy, "ReuseFactor": reuse}
        return self.add(layer, (*made, filters), self._kernel_types(False), output, **config)

    def pool(
        self, x: str, kind: str, size: tuple[int, ...], stride: tuple[int, ...] | None = None,
        pads: tuple[int, ...] | None = None, count: bool = False, tight: bool = False, output: bool = True,
    ) -> str:  # fmt: skip
        *space, channels = self.shapes[x]
        n = len(space)
        layer, made = self._geometry(space, size, stride or size, pads or (0,) * (2 * n), "pool")
        if n == 1:
            layer = layer | {"n_in": layer.pop("in_width"), "n_out": layer.pop("out_width")}
        layer |= {
            "class_name": f"{kind}Pooling{n}D", "inputs": [x], "n_filt": channels, "count_pad": count,
            "data_format": "channels_last",
        }  # fmt: skip
        types = {"result": self.type(), "accum": self.accum(tight)}
        return self.add(layer, (*made, channels), types, output)

    @staticmethod
    def _geometry(
        space: Any, size: Any, stride: Any, pads: Any, what: str
    ) -> tuple[dict[str, Any], list[int]]:
        axes = ("height", "width")[2 - len(space) :]
        sides = {"height": ("top", "bottom"), "width": ("left", "right")}
        layer: dict[str, Any] = {}
        made = []
        for i, axis in enumerate(axes):
            before, after = pads[2 * i : 2 * i + 2]
            made.append((space[i] + before + after - size[i]) // stride[i] + 1)
            layer |= {
                f"in_{axis}": space[i], f"out_{axis}": made[-1], f"{what}_{axis}": size[i],
                f"stride_{axis}": stride[i], f"pad_{sides[axis][0]}": before, f"pad_{sides[axis][1]}": after,
            }  # fmt: skip
        return layer, made

    def global_pool(self, x: str, kind: str) -> str:
        *space, channels = self.shapes[x]
        names = ("n_in",) if len(space) == 1 else ("in_height", "in_width")
        layer = {
            "class_name": f"Global{kind}Pooling{len(space)}D", "inputs": [x], "n_filt": channels,
            "data_format": "channels_last", **dict(zip(names, space, strict=True)),
        }  # fmt: skip
        return self.add(layer, (channels,), {"result": self.type(), "accum": self.accum()})

    def batch_norm(self, x: str) -> str:
        shape = self.shapes[x]
        layer = {
            "class_name": "BatchNormalization", "inputs": [x], "n_in": int(np.prod(shape)),
            "n_filt": shape[-1] if len(shape) > 1 else -1, "scale_data": self.numbers(shape[-1]),
            "bias_data": self.numbers(shape[-1]),
        }  # fmt: skip
        return self.add(layer, shape, {k: self.type() for k in ("result", "scale", "bias")})

    def activation(
        self, x: str, name: str, kind: str = "Activation", types: dict[str, str] | None = None,
        output: bool = True, **attributes: Any,
    ) -> str:  # fmt: skip
        shape = self.shapes[x]
        layer = {
            "class_name": kind,
            "inputs": [x],
            "activation": name,
            "n_in": int(np.prod(shape)),
        } | attributes
        return self.add(layer, shape, {"result": self.type()} | (types or {}), output)

    def merge(self, a: str, b: str, op: str) -> str:
        shape = max((self.shapes[a], self.shapes[b]), key=lambda s: int(np.prod(s)))
        return self.add({"class_name": "Merge", "inputs": [a, b], "op": op}, shape, {"result": self.type()})

    def concat(self, a: str, b: str, axis: int) -> str:
        shape = list(self.shapes[a])
        shape[axis - 1 if axis > 0 else axis] += self.shapes[b][axis - 1 if axis > 0 else axis]
        layer = {
            "class_name": "Concatenate", "inputs": [a, b], "op": f"concatenate{len(shape)}d", "axis": axis,
        }  # fmt: skip
        return self.add(layer, tuple(shape), {"result": self.type()})

    def other(
        self, kind: str, x: str | list[str], shape: tuple[int, ...], types: dict[str, str] | None = None,
        output: bool = True, **attributes: Any,
    ) -> str:  # fmt: skip
        layer = {"class_name": kind, "inputs": x if isinstance(x, list) else [x]} | attributes
        return self.add(layer, shape, {} if types is None else types, output)

    def einsum_dense(
        self, x: str, equation: str, kernel: tuple[int, ...], made: tuple[int, ...], tight: bool,
        strategy: str = "Latency",
    ) -> str:  # fmt: skip
        layer = {
            "class_name": "EinsumDense", "inputs": [x], "equation": equation, "inp_shape": self.shapes[x],
            "out_shape": made, "weight_data": self.numbers(*kernel), "bias_data": self.numbers(*made),
        }  # fmt: skip
        return self.add(layer, made, self._kernel_types(tight), Strategy=strategy)

    def einsum(self, a: str, b: str, equation: str, made: tuple[int, ...], tight: bool) -> str:
        layer = {
            "class_name": "Einsum", "inputs": [a, b], "equation": equation, "inp0_shape": self.shapes[a],
            "inp1_shape": self.shapes[b], "out_shape": made,
        }  # fmt: skip
        return self.add(layer, made, {"result": self.type(), "accum": self.accum(tight)})

    def quantized_dense(self, x: str, outputs: int, quantizer: Any, output: bool = False) -> str:
        """A Dense layer whose weights hls4ml quantizes itself, in types that hold its sums."""
        n = self.shapes[x][-1]
        layer = {
            "class_name": "Dense", "inputs": [x], "n_in": n, "n_out": outputs, "data_format": "channels_last",
            "weight_data": self.numbers(n, outputs), "bias_data": self.numbers(outputs),
            "weight_quantizer": quantizer,
        }  # fmt: skip
        types = {"result": "fixed<12,7>", "accum": "fixed<12,7>", "bias": "fixed<8,3>"}
        return self.add(layer, (outputs,), types, output)

    def wide_norm(self, x: str) -> str:
        """A normalization with positive scales, which hls4ml merges into the sign that follows."""
        n = self.shapes[x][-1]
        layer = {
            "class_name": "BatchNormalization", "inputs": [x], "n_in": n, "n_filt": -1,
            "scale_data": np.abs(self.numbers(n)) + 0.125, "bias_data": self.numbers(n),
        }  # fmt: skip
        return self.add(layer, (n,), dict.fromkeys(("result", "scale", "bias"), "fixed<12,5>"), False)

    def moves(self, row: Any, image: Any) -> None:
        """Every layer that moves elements, on inputs that `row` (9, 4) and `image` (6, 5, 3) give."""
        last = {"data_format": "channels_last"}
        self.other(
            "ZeroPadding1D",
            row(),
            (12, 4),
            in_width=9,
            out_width=12,
            n_chan=4,
            pad_left=1,
            pad_right=2,
            **last,
        )
        self.other(
            "ZeroPadding2D", image(), (8, 9, 3), in_height=6, in_width=5, out_height=8, out_width=9, n_chan=3,
            pad_top=1, pad_bottom=1, pad_left=3, pad_right=1, **last,
        )  # fmt: skip
        self.other(
            "Cropping1D", row(), (6, 4), in_width=9, out_width=6, n_chan=4, crop_left=1, crop_right=2, **last
        )
        self.other(
            "Cropping2D", image(), (4, 3, 3), in_height=6, in_width=5, out_height=4, out_width=3, n_chan=3,
            crop_top=1, crop_bottom=1, crop_left=2, crop_right=0, **last,
        )  # fmt: skip
        self.other("Transpose", row(), (4, 9), perm=[1, 0])
        self.other("Transpose", image(), (3, 6, 5), perm=[2, 0, 1])
        self.other(
            "UpSampling2D", image(), (12, 15, 3), in_height=6, in_width=5, out_height=12, out_width=15,
            n_chan=3, algorithm="nearest", **last,
        )  # fmt: skip
        embedded = {"result": self.type(), "embeddings": self.type()}
        self.other(
            "Embedding", self.input(5, type="uint<3>"), (5, 4), embedded, n_in=5, n_out=4, vocab_size=8,
            embeddings_data=self.numbers(8, 4),
        )  # fmt: skip
