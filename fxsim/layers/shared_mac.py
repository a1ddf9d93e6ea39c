"""The multiply-accumulate unit of dynamic fixed point: a short accumulator that spills into a wide one."""

from __future__ import annotations

import numpy as np

from fxsim.formats import Format
from fxsim.integers import IntArray
from fxsim.layers.shared_exponent import chunk_length
from fxsim.machine import Machine
from fxsim.ops.common import check_int
from fxsim.trace import Tensor, select, trace
from fxsim.types import TensorType


def shared_mac(
    bits: int = 16, lanes: int = 2, *, steps: int = 1 << 10, accumulator: int = 32, name: str = "shared_mac"
) -> Machine:
    """Sums of products of symmetric `bits`-bit mantissas, `lanes` products a step, exact up to `steps` steps.

    Inputs of a step: x and w of shape (lanes,), |x|, |w| < 2**(bits - 1); first, 1 where a new sum begins.
    Output: the sum of all products since, this step's included. Its exponent is that of x plus that of w.

    State: an accumulator of `accumulator` bits, a wide one, and a counter. A chunk is as many steps as the
    short one is proven to hold: floor(chunk_length(bits, bits, accumulator) / lanes); after it the short
    one spills and is 0. The wide one has accumulator + ceil(log2(steps / chunk)) bits: no sum of at most
    `steps` steps is lost, later ones wrap. 16 bits and pairs into 32 (the INT16 unit of the paper) spill at
    every step, 14 bits at every 16th. Source: arXiv 1802.00930; the lengths of the chunks by bound.

    Raises ValueError where the accumulator cannot hold one step's products.
    """
    check_int("lanes", lanes, 1)
    check_int("steps", steps, 1)
    products = chunk_length(bits, bits, check_int("accumulator", accumulator, 2))
    chunk = products // lanes
    if not chunk:
        raise ValueError(
            f"lanes must be at most {products}, the products that the accumulator holds, not {lanes}"
        )
    short = Format(accumulator, accumulator)
    chunks = -(-steps // chunk)
    wide = Format(accumulator + (chunks - 1).bit_length(), accumulator + (chunks - 1).bit_length())
    most = (1 << (bits - 1)) - 1

    def step(
        acc: Tensor, total: Tensor, count: Tensor, x: Tensor, w: Tensor, first: Tensor
    ) -> tuple[Tensor, ...]:
        params = {"bits": bits, "accumulator": accumulator, "chunk": chunk}
        with x.builder.block("shared_mac", name, [acc, total, count, x, w, first], params) as outputs:
            held, done = select(first, 0, acc), select(first, 0, count)
            spilt = select(first, 0, total)
            part = ((x * w).sum() + held).cast(short)  # modulo 2**accumulator, and proven not to leave it
            full = done == chunk - 1
            result = (spilt + part).cast(wide)
            following = (done + 1).cast(Format(count.type.max_width, count.type.max_width, False))
            outputs += [
                select(full, 0, part),
                select(full, result, spilt),
                select(full, 0, following),
                result,
            ]
        return tuple(outputs)

    mantissas = TensorType((lanes,), 0, np.full(lanes, -most), np.full(lanes, most))
    counter = Format(max((chunk - 1).bit_length(), 1), max((chunk - 1).bit_length(), 1), False)
    types = [TensorType.of(f, ()) for f in (short, wide, counter)]
    flag = TensorType.of(Format(1, 1, False), ())
    return Machine((IntArray(0),) * 3, trace(step, *types, mantissas, mantissas, flag, name=name))
