"""The rules of hls4ml's layers, one file for each kind of arithmetic; importing this fills the table."""

from hls.plugin.rules import activation, layernorm, linear, shape, softmax, tables

__all__ = ["activation", "layernorm", "linear", "shape", "softmax", "tables"]
