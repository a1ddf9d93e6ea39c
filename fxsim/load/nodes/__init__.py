"""What each op of a model file means: handlers in the table of fxsim.load.loader, one idea a module."""

from fxsim.load.nodes import (
    channels_last,
    conv,
    conv_transpose,
    dense,
    finn,
    functions,
    host,
    join,
    microsoft,
    multithreshold,
    pool,
    product,
    qdq,
    qlinear,
    quant,
    reorder,
    resize,
    select,
    trunc,
    wiring,
)
from fxsim.load.table import supported as supported

# Importing a module of handlers fills the table; a new op is one function in one of them.
MODULES = (
    channels_last,
    conv,
    conv_transpose,
    dense,
    finn,
    functions,
    host,
    join,
    microsoft,
    multithreshold,
    pool,
    product,
    qdq,
    qlinear,
    quant,
    reorder,
    resize,
    select,
    trunc,
    wiring,
)
