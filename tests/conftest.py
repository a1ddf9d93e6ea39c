"""Fixed seeds and one build cache for all workers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Set before any test imports the libraries that read them. One folder for every xdist worker: builds are
# keyed by content, so the second worker that needs a design finds it built.
os.environ.setdefault("FXSIM_CACHE", str(ROOT / "build" / "cache"))

os.environ.setdefault("KERAS_BACKEND", "torch")

settings.register_profile("exact", derandomize=True, deadline=None, database=None)
settings.load_profile("exact")


@pytest.fixture(scope="session")
def build_cache() -> Path:
    """The folder that holds compiled simulations, shared by all workers and kept between runs."""
    folder = Path(os.environ["FXSIM_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator seeded by the test's own name: the same draws alone, in any order, and on any worker."""
    return np.random.default_rng(list(request.node.nodeid.encode()))
