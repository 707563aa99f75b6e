"""Files are whole or untouched; checkpoints come back as they were, and anything else is told."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tinygrad_rnn.checkpoints import load_checkpoint, save_checkpoint
from tinygrad_rnn.data import read_text
from tinygrad_rnn.errors import BadFile, BadType, BadValue
from tinygrad_rnn.files import as_path, replacing, writable_folder, write_atomic

ARRAYS = {"W": np.arange(6, dtype="float32").reshape(2, 3), "step": np.array(7), "mask": np.array([True, False])}
META = {"equations": "h[t] = tanh(U @ h[t-1] + W @ x[t])\n", "symbols": "aé–🙂\n\x00\""}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, ARRAYS, META)
    arrays, meta = load_checkpoint(path)
    assert meta == META and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert np.array_equal(arrays[name], array)
        assert arrays[name].flags.writeable and arrays[name].flags.owndata
    assert names(tmp_path) == ["m.safetensors"]


def test_other_programs_read_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "m", ARRAYS, META)
    theirs = safetensors.numpy.load((tmp_path / "m").read_bytes())
    assert np.array_equal(theirs["W"], ARRAYS["W"])


@given(npst.arrays(st.sampled_from(["<f4", ">f8", "<f2", ">i4", "u1", "?"]), npst.array_shapes(min_dims=0, min_side=0)))
@settings(max_examples=50)
def test_any_layout_and_byte_order(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("any") / "m"
    save_checkpoint(path, {"plain": array, "turned": array.T, "sliced": array[..., ::2] if array.ndim else array}, {})
    arrays, meta = load_checkpoint(path)
    assert meta == {}
    for name, expected in (("plain", array), ("turned", array.T)):
        assert arrays[name].shape == expected.shape and arrays[name].dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(arrays[name], expected)
    np.testing.assert_array_equal(arrays["sliced"], array[..., ::2] if array.ndim else array)


STORABLE = st.text(st.characters(exclude_categories=["Cs"]))  # no lone surrogates


@given(st.dictionaries(STORABLE, STORABLE))
@settings(max_examples=50)
def test_any_text(tmp_path_factory: pytest.TempPathFactory, meta: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("text") / "m"
    meta = {k: v for k, v in meta.items() if k not in ("format", "version")}
    save_checkpoint(path, {}, meta)
    assert load_checkpoint(path) == ({}, meta)


def test_equal_checkpoints_are_equal_bytes(tmp_path: Path) -> None:
    """Many names and times, since an order left to chance is often the same twice."""
    meta = {f"key {k}": "v" for k in range(9)}
    for k in range(9):
        save_checkpoint(tmp_path / str(k), {}, meta)
    contents = {path.read_bytes() for path in tmp_path.iterdir()}
    save_checkpoint(tmp_path / "turned", {}, dict(reversed(meta.items())))
    assert contents == {(tmp_path / "turned").read_bytes()}
    assert load_checkpoint(tmp_path / "turned")[1] == meta


def test_truncated_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, ARRAYS, META)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(BadFile, match=r"m.safetensors is truncated or no checkpoint at all .*; use another copy"):
            load_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(BadFile):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"just some text, long enough for a header", "no checkpoint at all"),
        (b"\x80\x04\x95 a pickle\x94.", "no checkpoint at all"),
        (b"\xff" * 100, "no checkpoint at all"),
        (b"", "truncated"),
        (safetensors.numpy.save({"a": np.ones(2)}), r"tinygrad_rnn did not write \(format None\)"),
        (safetensors.numpy.save({"a": np.ones(2)}, {"format": "pt"}), r"did not write \(format 'pt'\)"),
        (safetensors.numpy.save({}, {"format": "tinygrad_rnn", "version": "2"}), "version '2' .* reads version 1"),
        (safetensors.numpy.save({}, {"format": "tinygrad_rnn"}), "version None"),
    ],
    ids=["text", "pickle", "ones", "empty", "plain", "torch", "newer", "no version"],
)
def test_foreign_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(OSError, match=f"other.bin.*{message}") as caught:
        load_checkpoint(path)
    assert isinstance(caught.value, BadFile)


@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "m"
    path.write_bytes(content)
    with pytest.raises(BadFile):
        load_checkpoint(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"cannot read the checkpoint .*NotThere: no such file"):
        load_checkpoint(tmp_path / "NotThere")
    with pytest.raises(BadFile, match=r"cannot read the checkpoint .*directory"):
        load_checkpoint(tmp_path)
    with pytest.raises(BadFile, match=r"cannot write .*m: there is no folder .*no; make it first"):
        write_atomic(tmp_path / "no" / "m", b"")
    with pytest.raises(BadFile, match="it is a folder"):
        write_atomic(tmp_path, b"")
    assert names(tmp_path) == []


@pytest.mark.parametrize("use", [lambda p: write_atomic(p, b""), load_checkpoint, read_text, writable_folder, as_path])
@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str, use: Callable[[Path], object]) -> None:
    with pytest.raises(BadValue, match="no file can be named"):
        use(tmp_path / name)
    assert names(tmp_path) == []


def test_the_longest_name_that_a_file_can_have(tmp_path: Path) -> None:
    path = write_atomic(tmp_path / f"{'h' * (os.pathconf(tmp_path, 'PC_NAME_MAX') - 4)}.svg", b"new")
    assert path.read_bytes() == b"new" and names(tmp_path) == [path.name]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match=r"cannot write in the folder .*out: not a directory"):
        writable_folder(tmp_path / "file" / "out")

    def denied(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "touch", denied)  # the mode bits of a folder do not bind root
    with pytest.raises(BadFile, match=rf"cannot write in the folder {tmp_path}: permission denied"):
        writable_folder(tmp_path)
    with pytest.raises(BadFile, match=rf"cannot write .*m in the folder {tmp_path}: permission denied"):
        write_atomic(tmp_path / "m", b"")


def test_a_folder_is_made(tmp_path: Path) -> None:
    assert writable_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path / "a" / "b") == []


def test_an_exception_inside_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        assert part.parent == tmp_path and part.suffix == ".png"
        part.write_text("half of the new")
        raise ZeroDivisionError
    assert path.read_text() == "old" and names(tmp_path) == ["curve.png"]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    path = tmp_path / "m"
    path.write_text("old")
    with pytest.raises(BadFile, match="no space left"), replacing(path), open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert path.read_text() == "old" and names(tmp_path) == ["m"]


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "m", tmp_path / "latest"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_atomic(link, b"new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640 and link.is_symlink()
    plain = tmp_path / "plain"
    plain.write_text("")
    write_atomic(tmp_path / "fresh", b"")
    assert (tmp_path / "fresh").stat().st_mode == plain.stat().st_mode  # as any file that the user makes


@pytest.mark.parametrize(
    ("arrays", "meta", "kind", "message"),
    [
        ({"W": np.array([object()])}, {}, BadType, "W holds object"),
        ({"W": np.ones(2, complex)}, {}, BadType, "W holds complex128"),
        ({"W": np.array(["a"])}, {}, BadType, "W holds <U1"),
        ({"__metadata__": np.ones(2)}, {}, BadValue, "'__metadata__' is taken"),
        ({}, {"format": "x"}, BadValue, "'format' of a checkpoint's text is taken"),
        ({}, {"epoch": 3}, BadType, "made of strings, not 'epoch': 3"),
        ({}, {"symbols": "a\ud800"}, BadValue, "'symbols' of a checkpoint holds a lone surrogate"),
    ],
)
def test_what_cannot_be_stored(tmp_path: Path, arrays: dict, meta: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        save_checkpoint(tmp_path / "m", arrays, meta)
    assert names(tmp_path) == []


# For each line that it reads a process that saves until it is killed; so all is imported once. What it says is one
# write each: an unbuffered `print` makes two, and between them the kill may fall.
SAVER = """
import itertools, os, sys
import numpy as np
from tinygrad_rnn.checkpoints import save_checkpoint
for line in sys.stdin:
    child = os.fork()
    for k in itertools.count(1) if child == 0 else ():
        arrays = {"a": np.full(200_000, k, "int32"), "b": np.full(50_000, k, "int32")}
        save_checkpoint(sys.argv[1], arrays, {"k": str(k)})
        os.write(1, b"%d\\n" % os.getpid())
    os.waitpid(child, 0)
    os.write(1, b"killed\\n")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is of POSIX")
def test_killed_at_any_moment_the_file_loads(tmp_path: Path) -> None:
    path, chance = tmp_path / "m.safetensors", random.Random(0)
    interrupted = 0
    command = [sys.executable, "-c", SAVER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as saver:
        assert saver.stdin is not None and saver.stdout is not None
        for kills in range(200):
            if kills >= 12 and interrupted:
                break
            print(file=saver.stdin, flush=True)
            child = int(saver.stdout.readline())
            time.sleep(chance.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
            said = 1 + sum(1 for _ in iter(saver.stdout.readline, "killed\n"))
            arrays, meta = load_checkpoint(path)
            k = int(meta["k"])
            assert said <= k <= said + 1, "what was reported as saved is there"
            assert (arrays["a"] == k).all() and (arrays["b"] == k).all()
            strays = [name for name in names(tmp_path) if name != path.name]
            assert all(name.startswith(".m.") and ".part" in name for name in strays)
            interrupted = len(strays)
    assert interrupted, "no kill fell into a save: the test would say nothing"


def test_a_file_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for use in (lambda: save_checkpoint("", {}, {}), lambda: load_checkpoint("")):
        with pytest.raises(ValueError, match="a file has a name, and this one is empty"):
            use()
    assert not list(tmp_path.iterdir())
