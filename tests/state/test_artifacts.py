from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from tenure.core.data import Snapshot
from tenure.core.errors import ArtifactError, DiskFullError, FolderReadOnlyError
from tenure.core.lifecycle import Incumbent
from tenure.state.artifacts import LocalArtifacts
from tenure.state.host import host_name, process_birth

NOWHERE = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "members").mkdir(parents=True)
    (folder / "bundle.json").write_text("{}")
    (folder / "members" / "m0.txt").write_text("tree")
    return folder


def path_of(store: LocalArtifacts, digest: str) -> Path:
    return store.folder / digest[:2] / digest


def leftovers(store: LocalArtifacts) -> list[str]:
    return sorted(path.name for path in (store.folder / ".partial").iterdir())


@given(content=st.binary(max_size=2000))
def test_bytes_come_back_under_their_sha256(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = LocalArtifacts(tmp_path_factory.getbasetemp() / "bytes")
    assert store.get_bytes(store.put_bytes(content)) == content
    assert leftovers(store) == []


def test_putting_twice_keeps_one_file_and_mends_a_damaged_one(store: LocalArtifacts) -> None:
    digest = store.put_bytes(b"a model")
    path = path_of(store, digest)
    path.write_bytes(b"a midel")
    with pytest.raises(ArtifactError, match="damaged"):
        store.get_bytes(digest)
    assert store.put_bytes(b"a model") == digest
    assert store.get_bytes(digest) == b"a model"


@pytest.mark.parametrize("digest", [NOWHERE, "../../etc/passwd", "", "ABC"])
def test_unknown_or_senseless_digest_is_an_artifact_error(store: LocalArtifacts, digest: str) -> None:
    with pytest.raises(ArtifactError):
        store.get_bytes(digest)
    with pytest.raises(ArtifactError):
        store.get_tree(digest)


@settings(max_examples=40, deadline=None)
@given(frame=dataframes(max_cols=5, max_size=30, excluded_dtypes=[pl.Categorical, pl.Object]), data=st.data())
def test_equal_tables_have_equal_digests_however_they_were_made(
    frame: pl.DataFrame, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = LocalArtifacts(tmp_path_factory.getbasetemp() / "tables")
    cut = data.draw(st.integers(0, frame.height))
    digest = store.put_table(frame)
    assert store.put_table(pl.concat([frame[:cut], frame[cut:]], rechunk=False)) == digest
    assert store.put_table(pl.concat([frame, frame])[frame.height :]) == digest
    assert_frame_equal(store.get_table(digest), frame)


def test_categories_keep_their_digest_whatever_the_process_saw_before(store: LocalArtifacts) -> None:
    first = pl.DataFrame({"plan": pl.Series(["a", "b", "a"], dtype=pl.Categorical)})
    digest = store.put_table(first)
    others = pl.DataFrame({"plan": pl.Series(["z", "b", "y"], dtype=pl.Categorical)})
    assert store.put_table(others.vstack(first)[3:]) == digest
    assert store.get_table(digest).equals(first)


def test_real_table_comes_back_whole(store: LocalArtifacts, real_data) -> None:
    frame = pl.read_parquet(real_data("telco_churn"))
    digest = store.put_table(frame)
    assert_frame_equal(store.get_table(digest), frame)
    assert store.put_table(store.get_table(digest)) == digest


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.int16).reshape(3, 4),
        np.array([0.1, np.nan, -np.inf]),
        np.float64(3.5),
        np.zeros((0, 2)),
    ],
)
def test_arrays_come_back_bit_for_bit(store: LocalArtifacts, array: np.ndarray) -> None:
    digest = store.put_array(array)
    back = store.get_array(digest)
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (np.asarray(array).dtype, np.shape(array))
    assert store.put_array(np.asfortranarray(array).reshape(np.shape(array))) == digest


def test_array_of_objects_is_refused_because_it_would_be_a_pickle(store: LocalArtifacts) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        store.put_array(np.array([object()]))


def test_record_comes_back_as_its_own_type_only(store: LocalArtifacts) -> None:
    record = Incumbent(version=3, model="m" * 64, leaderboard="l" * 64)
    digest = store.put_record(record)
    assert store.get_record(Incumbent, digest) == record
    with pytest.raises(ArtifactError, match="is a Incumbent, not a Snapshot"):
        store.get_record(Snapshot, digest)


def test_bytes_are_neither_table_nor_array_nor_record(store: LocalArtifacts) -> None:
    digest = store.put_bytes(b"neither")
    with pytest.raises(ArtifactError, match="not a table"):
        store.get_table(digest)
    with pytest.raises(ArtifactError, match="not an array"):
        store.get_array(digest)
    with pytest.raises(ArtifactError, match="not a record"):
        store.get_record(Incumbent, digest)
    with pytest.raises(ArtifactError, match="not a folder"):
        store.get_tree(digest)


def test_tree_is_known_by_its_files_not_by_where_it_was(store: LocalArtifacts, bundle: Path, tmp_path: Path) -> None:
    digest = store.put_tree(bundle)
    kept = store.get_tree(digest)
    assert (kept / "members" / "m0.txt").read_text() == "tree"
    assert store.put_tree(bundle.rename(tmp_path / "elsewhere")) == digest
    assert store.put_tree(kept) == digest
    assert leftovers(store) == []


@pytest.mark.parametrize("harm", ["changed", "added", "removed"])
def test_harmed_tree_is_refused_and_mended_by_putting_again(store: LocalArtifacts, bundle: Path, harm: str) -> None:
    digest = store.put_tree(bundle)
    kept = path_of(store, digest)
    if harm == "changed":
        (kept / "members" / "m0.txt").write_text("oak")
    elif harm == "added":
        (kept / "extra.json").write_text("{}")
    else:
        (kept / "bundle.json").unlink()
    with pytest.raises(ArtifactError, match="damaged"):
        store.get_tree(digest)
    assert store.put_tree(bundle) == digest
    assert (store.get_tree(digest) / "members" / "m0.txt").read_text() == "tree"


def test_file_cannot_be_put_as_tree(store: LocalArtifacts, bundle: Path) -> None:
    with pytest.raises(ArtifactError, match="not a folder"):
        store.put_tree(bundle / "bundle.json")


def folders_nobody_can_make(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "file").write_text("in the way")
    yield tmp_path / "file" / "artifacts"
    yield Path("/proc/tenure/artifacts")
    yield Path("/dev/full/artifacts")


def test_folder_that_cannot_be_written_says_so(tmp_path: Path, bundle: Path) -> None:
    for folder in folders_nobody_can_make(tmp_path):
        store = LocalArtifacts(folder)
        with pytest.raises(FolderReadOnlyError) as caught:
            store.put_bytes(b"x")
        assert str(folder) in caught.value.message
        with pytest.raises(FolderReadOnlyError):
            store.put_tree(bundle)


CHILD = """
import resource, sys
from pathlib import Path
from tenure.core.errors import DiskFullError
from tenure.state.artifacts import LocalArtifacts
store = LocalArtifacts(Path(sys.argv[1]))
small = store.put_bytes(b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for attempt in (lambda: store.put_bytes(b"x" * 100_000), lambda: store.put_tree(Path(sys.argv[2]))):
    try:
        attempt()
    except DiskFullError as error:
        print(error.code, error.exit_code)
assert store.get_bytes(small) == b"small"
"""


def test_disk_without_room_is_an_error_and_leaves_nothing_behind(store: LocalArtifacts, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    (big / "model.txt").write_bytes(b"y" * 100_000)
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(store.folder), str(big)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["disk-full", "8"] * 2
    kept = [path for path in store.folder.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [b"small"]
    assert leftovers(store) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_full_small_disk_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs more rights than this machine gives")
    try:
        store = LocalArtifacts(disk / "artifacts")
        small = store.put_bytes(b"small")
        with pytest.raises(DiskFullError):
            store.put_bytes(bytes(1_000_000))
        assert leftovers(store) == []
        assert store.get_bytes(small) == b"small"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_leftovers_of_dead_processes_are_swept_and_those_of_living_ones_stay(store: LocalArtifacts) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = f"{host_name()},{os.getpid()},{process_birth(os.getpid())},a"
    names = {
        mine: True,
        f"{host_name()},{ended.pid},123,b": False,
        f"{host_name()},{os.getpid()},-1,number-taken-by-another": False,
        "elsewhere,1,1,young": True,
        "elsewhere,1,1,old": False,
    }
    for name in names:
        (store.folder / ".partial" / name).mkdir(parents=True)
        (store.folder / ".partial" / name / "new").write_bytes(b"half")
    os.utime(store.folder / ".partial" / "elsewhere,1,1,old", (0, 0))
    LocalArtifacts(store.folder)
    assert leftovers(store) == sorted(name for name, stays in names.items() if stays)


WRITER = """
import sys
from pathlib import Path
from tenure.state.artifacts import LocalArtifacts
store = LocalArtifacts(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(10**9):
    store.put_bytes(number.to_bytes(8) * 20_000)
    store.put_tree(Path(sys.argv[2]))
    print(number, flush=True)
"""


def test_killed_writer_leaves_only_whole_artifacts(store: LocalArtifacts, bundle: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.folder), str(bundle)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(4):
            writer.stdout.readline()
        writer.kill()
        writer.communicate()
        again = LocalArtifacts(store.folder)
        assert leftovers(again) == []
        for path in store.folder.glob("[0-9a-f][0-9a-f]/*"):
            if path.is_dir():
                again.get_tree(path.name)
            else:
                again.get_bytes(path.name)
