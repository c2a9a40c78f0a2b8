"""Files are written whole, and what the disk refuses is said in words."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tenure.core.errors import DiskFullError, FolderReadOnlyError, TenureError
from tenure.core.files import as_known, write_whole, writing


def test_a_file_is_replaced_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    for content in (b"old", b"newer"):
        write_whole(path, content)
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["page.html"]


def test_a_refusal_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    (tmp_path / "file").touch()
    for refused in ("page.html", "file/page.html", "x" * 300):
        with pytest.raises(FolderReadOnlyError) as caught:
            write_whole(tmp_path / refused, b"new")
        assert caught.value.where == str(tmp_path / refused)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "page.html"]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EACCES, FolderReadOnlyError),
        (errno.EROFS, FolderReadOnlyError),
        (errno.EPERM, FolderReadOnlyError),
        (errno.ENOENT, FolderReadOnlyError),
    ],
)
def test_refusals_of_the_disk_are_translated(number: int, kind: type[TenureError], tmp_path: Path) -> None:
    for path in (tmp_path, None):
        known = as_known(OSError(number, "refused"), path)
        assert isinstance(known, kind)
        assert known.where == (None if path is None else str(path))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    assert as_known(OSError(errno.EIO, "broken"), tmp_path) is None
    with pytest.raises(OSError, match="broken"), writing(tmp_path):
        raise OSError(errno.EIO, "broken")
