"""Damaged, foreign and hostile .keras files: clear errors, nothing executed, nothing huge allocated."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import keras_edit
import numpy as np
import pytest

import fxsim
from fxsim.load.keras import archive


def refused(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        fxsim.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\0" * 100, bytes(1 << 16)])
def test_no_zip(content, tmp_path) -> None:
    (tmp_path / "m.keras").write_bytes(content)
    refused(tmp_path / "m.keras", "is no .keras file .a zip., or it is damaged: .*; save it again")


def test_every_truncation(tmp_path) -> None:
    whole = (keras_edit.DATA / "mlp.keras").read_bytes()
    for n in range(0, len(whole) - 1, 97):
        (tmp_path / "m.keras").write_bytes(whole[:n])
        refused(tmp_path / "m.keras", "is no .keras file|is damaged")


def test_flipped_bytes_never_pass_silently(rng, tmp_path) -> None:
    """A zip's checksums find damage inside members; in its directory it may hit nothing that is read."""
    whole = bytearray((keras_edit.DATA / "mlp.keras").read_bytes())
    want = fxsim.load(keras_edit.DATA / "mlp.keras")
    for at in rng.integers(0, len(whole), 150):
        broken = bytearray(whole)
        broken[at] ^= 0x55
        (tmp_path / "m.keras").write_bytes(broken)
        try:
            assert fxsim.load(tmp_path / "m.keras") == want
        except ValueError as e:
            assert str(tmp_path) in str(e)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (("config.json",), "it has no config.json; save the whole model"),
        (("model.weights.h5",), "it has no model.weights.h5; save the whole model"),
        (("config.json", "model.weights.h5"), "it has no config.json and no model.weights.h5"),
    ],
)
def test_missing_members(gone, message, tmp_path) -> None:
    content = {k: v for k, v in keras_edit.members("mlp").items() if k not in gone}
    refused(keras_edit.written(tmp_path / "m.keras", content), message)


def test_weights_in_another_form(tmp_path) -> None:
    content = keras_edit.members("mlp")
    content["model.weights.npz"] = content.pop("model.weights.h5")
    refused(keras_edit.written(tmp_path / "m.keras", content), "in another form than model.weights.h5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "config.json is damaged"),
        (b"\xff\xfe", "config.json is damaged"),
        (b"[1]", "config.json describes no model"),
        (b'{"config": 3}', "config.json describes no model"),
        (b"[" * 100_000, "config.json is damaged"),
    ],
)
def test_bad_json(text, message, tmp_path) -> None:
    content = keras_edit.members("mlp") | {"config.json": text}
    refused(keras_edit.written(tmp_path / "m.keras", content), message)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 500])
def test_bad_h5(data, tmp_path) -> None:
    content = keras_edit.members("mlp") | {"model.weights.h5": data}
    refused(keras_edit.written(tmp_path / "m.keras", content), "model.weights.h5 is damaged")


def test_every_truncation_of_the_h5(tmp_path) -> None:
    content = keras_edit.members("mlp")
    whole = content["model.weights.h5"]
    for n in range(0, len(whole) - 1, 1531):
        content["model.weights.h5"] = whole[:n]
        refused(keras_edit.written(tmp_path / "m.keras", content), "model.weights.h5")


def test_changed_bytes_of_the_h5(rng, tmp_path) -> None:
    """Behind a right checksum: another number in an array, or an error that says so, and nothing else."""
    content = keras_edit.members("mlp")
    whole = content["model.weights.h5"]
    for _ in range(60):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            broken[at] = rng.integers(256)
        broken[int(rng.integers(4000))] = rng.integers(256)
        path = keras_edit.written(tmp_path / "m.keras", content | {"model.weights.h5": bytes(broken)})
        with contextlib.suppress(ValueError):
            fxsim.load(path)


def test_member_that_declares_too_much(tmp_path) -> None:
    """The sizes of the zip's directory are believed for refusing, never for reading."""
    path = keras_edit.written(tmp_path / "m.keras", keras_edit.members("mlp"))
    whole = bytearray(path.read_bytes())
    for name in (b"config.json", b"model.weights.h5"):
        at = whole.rindex(b"PK\x01\x02", 0, whole.rindex(name))
        broken = bytearray(whole)
        broken[at + 24 : at + 28] = struct.pack("<I", 0xF0000000)
        path.write_bytes(broken)
        refused(path, rf"{name.decode()} declares 4026531840 bytes, which is beyond the limit")


def test_compressed_zeros(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archive, "CONFIG_BYTES", 1 << 20)
    content = keras_edit.members("mlp") | {"config.json": bytes(1 << 22)}
    refused(keras_edit.written(tmp_path / "m.keras", content), "config.json declares 4194304 bytes")


def test_dataset_that_declares_too_much(tmp_path) -> None:
    def change(file: h5py.File) -> None:
        group = file["layers/q_dense/vars"]
        del group["0"]
        group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1, 1), compression="gzip")

    path = keras_edit.weighted(tmp_path / "m.keras", "mlp", change)
    refused(path, "declares more than 1073741824 bytes of numbers, up to 'layers/q_dense/vars/0'")


def test_links_are_not_followed(tmp_path) -> None:
    def soft(file: h5py.File) -> None:
        file["layers/again"] = h5py.SoftLink("/layers")

    def outside(file: h5py.File) -> None:
        file["layers/away"] = h5py.ExternalLink("/etc/passwd", "/x")

    def loop(file: h5py.File) -> None:
        file["layers/loop"] = file["layers"]

    for change, message in ((soft, "again"), (outside, "away")):
        path = keras_edit.weighted(tmp_path / "m.keras", "mlp", change)
        refused(path, f"links 'layers/{message}' to another place; save the model again")
    refused(keras_edit.weighted(tmp_path / "m.keras", "mlp", loop), "nested more than 48 deep")


def test_arrays_outside_the_file(tmp_path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4096))

    def external(file: h5py.File) -> None:
        group = file["layers/q_dense/vars"]
        del group["0"]
        group.create_dataset("0", (6, 7), "f4", external=[(str(tmp_path / "secret"), 0, 168)])

    def virtual(file: h5py.File) -> None:
        group = file["layers/q_dense/vars"]
        del group["0"]
        layout = h5py.VirtualLayout((6, 7), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret"), "x", (6, 7))
        group.create_virtual_dataset("0", layout)

    def nested(file: h5py.File) -> None:
        del file["layers/q_dense/vars/0"]
        file["layers/q_dense/vars"].create_group("0")

    for change in (external, virtual, nested):
        path = keras_edit.weighted(tmp_path / "m.keras", "mlp", change)
        refused(path, "has no plain array at 'layers/q_dense/vars/0'")


def test_strings_are_no_weights(tmp_path) -> None:
    def change(file: h5py.File) -> None:
        del file["layers/q_dense/vars/0"]
        file["layers/q_dense/vars"]["0"] = np.array([b"abc"])

    path = keras_edit.weighted(tmp_path / "m.keras", "mlp", change)
    refused(path, r"has \|S3 at 'layers/q_dense/vars/0', not numbers")


def test_too_many_groups(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archive, "MAX_GROUPS", 10)
    refused(keras_edit.written(tmp_path / "m.keras", keras_edit.members("mlp")), "more than 10 groups")


def test_extra_members_are_not_read(tmp_path) -> None:
    content = keras_edit.members("mlp") | {"../../evil.py": b"raise SystemExit", "assets/x": b"y"}
    path = keras_edit.written(tmp_path / "m.keras", content)
    assert fxsim.load(path) == fxsim.load(keras_edit.DATA / "mlp.keras")


def test_encrypted_or_odd_compression(tmp_path) -> None:
    whole = bytearray((keras_edit.DATA / "mlp.keras").read_bytes())
    at = whole.rindex(b"PK\x01\x02", 0, whole.rindex(b"config.json"))
    for offset, value in ((8, 1), (10, 99)):
        broken = bytearray(whole)
        broken[at + offset] = value
        (tmp_path / "m.keras").write_bytes(broken)
        refused(tmp_path / "m.keras", "is no .keras file .a zip., or it is damaged")


def test_old_h5_files(tmp_path) -> None:
    for name in ("qkeras.h5", "model.hdf5"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
        refused(tmp_path / name, "HDF5 file of Keras 2 or QKeras, which is not read; build the model with")


def test_an_empty_model(tmp_path) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w"):
        pass
    config = {"class_name": "Functional", "config": {"name": "m", "layers": [], "input_layers": []}}
    content = {"config.json": json.dumps(config).encode(), "model.weights.h5": buffer.getvalue()}
    path = keras_edit.written(tmp_path / "m.keras", content)
    with pytest.raises(ValueError, match="model 'm' names no inputs or outputs"):
        fxsim.load(path)
    assert zipfile.is_zipfile(path)
