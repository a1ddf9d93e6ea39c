"""A case for each line of the table in docs/errors.md, an area a module."""

from bad_input import comparing, iterations, keras_and_tflite_files, onnx_files, samples, schedules, tools
from bad_input.table import CASES as CASES

# Importing a module puts its cases into the table.
MODULES = (comparing, iterations, keras_and_tflite_files, onnx_files, samples, schedules, tools)
