"""The Keras back end of these tests, set before anything imports keras."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
