"""Operators that give a tensor another shape, and the shape arithmetic on constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxsim.integers import Array
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.symbols import Codes, Fixed, Symbol


def constant(loader: Loader, op: FileOp) -> Array | None:
    """The first operand where it is a constant."""
    symbol = loader.symbols[loader.tensor(op, 0).index]
    return symbol.values if isinstance(symbol, Fixed) else None


@handles("SHAPE")
def shape(loader: Loader, op: FileOp) -> Symbol:
    """The file's shape, 1 for an open batch."""
    values = constant(loader, op)
    return Fixed(np.array(loader.shape(loader.codes(op, 0)) if values is None else values.shape, np.int32))


@handles("CAST")
def cast(loader: Loader, op: FileOp) -> Symbol:
    """Of integer constants."""
    kind = loader.tensor(op, 0, True).type
    values = constant(loader, op)
    if values is None or values.dtype.kind not in "iu" or kind not in ("INT32", "INT64"):
        raise NotImplementedError(
            f"{op} makes {kind}; only integer constants are cast, use QUANTIZE for codes"
        )
    return Fixed(values.astype(np.int64 if kind == "INT64" else np.int32))


@handles("RESHAPE")
def reshape(loader: Loader, op: FileOp) -> Symbol:
    """Row-major, to the shape of the second operand or of the options, -1 for what is left."""
    target = loader.whole(op, 1, "shape") if loader.has(op, 1) else tuple(op.options["NewShape"])
    return reshaped(loader, op, target)


@handles("SQUEEZE")
def squeeze(loader: Loader, op: FileOp) -> Symbol:
    """Without the axes of size 1, all of them or those listed."""
    now = file_shape(loader, op)
    chosen = {a % max(len(now), 1) for a in op.options["SqueezeDims"]}
    drop = chosen or {i for i, n in enumerate(now) if n == 1}
    if any(i >= len(now) or now[i] != 1 for i in drop):
        raise loader.error(op, f"drops axes {sorted(drop)} of {now}", "they must have size 1")
    return reshaped(loader, op, tuple(n for i, n in enumerate(now) if i not in drop))


@handles("EXPAND_DIMS")
def expand_dims(loader: Loader, op: FileOp) -> Symbol:
    """With a new axis of size 1."""
    now, (at,) = file_shape(loader, op), loader.whole(op, 1, "axis")
    if not -len(now) - 1 <= at <= len(now):
        raise loader.error(op, f"has axis {at} for {len(now)} axes", "convert the model again")
    at %= len(now) + 1
    return reshaped(loader, op, (*now[:at], 1, *now[at:]))


def file_shape(loader: Loader, op: FileOp) -> tuple[int, ...]:
    values = constant(loader, op)
    return loader.shape(loader.codes(op, 0)) if values is None else values.shape


def reshaped(loader: Loader, op: FileOp, target: Sequence[int]) -> Symbol:
    """The first operand in another shape; the batch must stay in front, unless it is 1."""
    now = file_shape(loader, op)
    size, known = int(np.prod(now)), int(np.prod([n for n in target if n != -1], dtype=object))
    full = tuple((size // known if known else 0) if n == -1 else n for n in target)
    if list(target).count(-1) > 1 or any(n < 0 for n in full) or int(np.prod(full, dtype=object)) != size:
        raise loader.error(op, f"turns {now} into {tuple(target)}", "the sizes must agree")
    values = constant(loader, op)
    if values is not None:
        return Fixed(values.reshape(full))
    x = loader.codes(op, 0)
    if full[:1] == (loader.batch,) and (x.lead or loader.batch == 1):
        own, lead = full[1:], True
    elif loader.batch == 1:
        own, lead = full, False
    else:
        raise loader.error(op, f"turns {now} into {full}", "the batch axis must stay in front")
    with loader.builder.block("flatten", loader.block_name(op.short), [x.tensor]) as outputs:
        outputs.append(x.tensor.reshape(own))
    return Codes(outputs[0], lead)


@handles("TRANSPOSE")
def transpose(loader: Loader, op: FileOp) -> Symbol:
    """Axis i of the result is axis order[i]; the batch stays in front."""
    order = loader.whole(op, 1, "permutation")
    values = constant(loader, op)
    if values is not None:
        return Fixed(values.transpose(order))
    x = loader.codes(op, 0)
    rank = len(loader.shape(x))
    if sorted(order) != list(range(rank)):
        raise loader.error(op, f"has permutation {order} for {rank} axes", "convert the model again")
    if not x.lead:
        return Codes(x.tensor.transpose(*order), False)
    if order[0] == 0:
        return Codes(x.tensor.transpose(*(a - 1 for a in order[1:])))
    if loader.batch > 1:
        raise loader.error(op, "moves the batch axis", "keep it in front")
    whole = x.tensor.reshape(1, *x.tensor.shape).transpose(*order)
    return Codes(whole, False) if whole.shape[0] != 1 else Codes(whole.reshape(whole.shape[1:]))
