"""What a process wrote down before it answered is taken in once, whatever ended the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.errors import DiskFullError, FolderReadOnlyError, StateUnreachableError
from tenure.state.journal import Drain, Journal, line_of, segments


class Table:
    """Keeps rows by id, as the log's table does, and can be out of reach."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.given = 0
        self.is_away = False
        self.poison = ""

    def absorb(self, rows: list[dict[str, Any]]) -> None:
        if self.is_away:
            raise StateUnreachableError("It does not answer.", hint="Wait.")
        if any(row["id"] == self.poison for row in rows):
            raise ValueError
        self.given += len(rows)
        for row in rows:
            self.rows.setdefault(row["id"], row)


def _rows(start: int, count: int) -> list[dict[str, Any]]:
    return [{"id": f"{at}", "text": "naïve\nlines\r and \u2028 more", "at": at} for at in range(start, start + count)]


def _lines(start: int, count: int) -> list[bytes]:
    return [line_of(row) for row in _rows(start, count)]


def _damage(_: str) -> None:
    pytest.fail("nothing is damaged here")


def test_lines_are_taken_in_while_their_process_lives_and_its_last_file_stays(tmp_path: Path) -> None:
    table, journal = Table(), Journal(tmp_path)
    drain = Drain(tmp_path, table.absorb, _damage)
    for start in (0, 10, 20):
        journal.append(_lines(start, 10))
        assert drain.run() == 10
    assert drain.run() == 0
    assert list(table.rows.values()) == _rows(0, 30)
    assert len(segments(tmp_path)) == 1


def test_full_files_are_removed_once_taken_in(tmp_path: Path) -> None:
    table, journal = Table(), Journal(tmp_path, segment_bytes=300)
    for start in range(0, 40, 4):
        journal.append(_lines(start, 4))
    assert len(segments(tmp_path)) > 3
    Drain(tmp_path, table.absorb, _damage).run()
    assert list(table.rows.values()) == _rows(0, 40)
    assert len(segments(tmp_path)) == 1


def test_a_table_out_of_reach_loses_nothing_and_gets_all_when_it_is_back(tmp_path: Path) -> None:
    table, journal = Table(), Journal(tmp_path)
    drain = Drain(tmp_path, table.absorb, _damage)
    journal.append(_lines(0, 5))
    table.is_away = True
    with pytest.raises(StateUnreachableError):
        drain.run()
    journal.append(_lines(5, 5))
    assert drain.backlog() > 0
    table.is_away = False
    assert drain.run() == 10
    assert list(table.rows.values()) == _rows(0, 10)


def test_two_that_take_in_at_once_keep_each_line_once(tmp_path: Path) -> None:
    table, journal = Table(), Journal(tmp_path, segment_bytes=500)
    one, two = Drain(tmp_path, table.absorb, _damage), Drain(tmp_path, table.absorb, _damage)
    for start in range(0, 60, 3):
        journal.append(_lines(start, 3))
        one.run()
        if start % 2:
            two.run()
    two.run()
    assert list(table.rows.values()) == _rows(0, 60)


_WRITER = """
import sys
from pathlib import Path
from tenure.state.journal import Journal, line_of
journal = Journal(Path(sys.argv[1]), segment_bytes=20_000)
at = 0
while True:
    journal.append([line_of({"id": str(at)})])
    print(at, flush=True)
    at += 1
"""


def test_what_a_killed_process_had_written_is_all_there(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    table = Table()
    Drain(tmp_path, table.absorb, _damage).run()
    assert set(map(str, said)) <= table.rows.keys()
    assert segments(tmp_path) == []


@given(cut=st.integers(1, 400))
def test_a_line_that_was_cut_short_was_answered_to_nobody_and_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    journal = Journal(folder)
    lines = _lines(0, 6)
    journal.append(lines)
    journal.close()
    path = segments(folder)[0].path
    os.truncate(path, max(path.stat().st_size - cut, 0))
    table = Table()
    Drain(folder, table.absorb, _damage).run()
    whole = sum(len(b"".join(lines[: at + 1])) <= sum(map(len, lines)) - cut for at in range(6))
    assert list(table.rows.values()) == _rows(0, whole)


def test_a_damaged_line_amid_whole_ones_is_told_and_its_file_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(_lines(0, 6))
    journal.close()
    path = segments(tmp_path)[0].path
    content = bytearray(path.read_bytes())
    content[len(_lines(0, 2)[0]) + 20] ^= 1
    path.write_bytes(content)
    table, told = Table(), []
    Drain(tmp_path, table.absorb, told.append).run()
    assert list(table.rows) == ["0", "2", "3", "4", "5"]
    assert len(told) == 1
    assert "1 lines" in told[0]
    assert len(list(tmp_path.glob("*.damaged"))) == 1
    assert segments(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.raises(FolderReadOnlyError) as told:
        Journal(place).append([b"x\n"])
    assert isinstance(told.value.__cause__, OSError)
    assert told.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_line_that_the_table_refuses_is_kept_aside_and_holds_up_no_other(tmp_path: Path) -> None:
    table, journal, told = Table(), Journal(tmp_path), []
    table.poison = "7"
    journal.append(_lines(0, 20))
    Drain(tmp_path, table.absorb, told.append).run()
    assert [row["id"] for row in _rows(0, 20) if row["id"] != "7"] == list(table.rows)
    assert (tmp_path / "refused.lines").read_bytes() == line_of(_rows(7, 1)[0])
    assert len(told) == 1


_TAKER = """
import sys
from pathlib import Path
from tenure.state.journal import Drain
taken = []
Drain(Path(sys.argv[1]), taken.extend, sys.exit).run()
print(len(taken))
"""


def test_a_file_that_is_being_written_is_never_removed_by_others_however_old_it_looks(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(_lines(0, 5))
    path = segments(tmp_path)[0].path
    os.utime(path, (0, 0))
    taken = subprocess.run(
        [sys.executable, "-c", _TAKER, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout
    assert int(taken) == 5
    journal.append(_lines(5, 5))
    table = Table()
    assert Drain(tmp_path, table.absorb, _damage).run() == 5
    assert list(table.rows.values()) == _rows(5, 5)
    assert path.exists()


def test_a_disk_that_refuses_leaves_no_empty_files(tmp_path: Path) -> None:
    class Full(Journal):
        def _reserve(self, size: int) -> None:
            raise OSError(errno.ENOSPC, "full")

    journal = Full(tmp_path)
    for _ in range(3):
        with pytest.raises(DiskFullError):
            journal.append(_lines(0, 1))
    assert segments(tmp_path) == []


def test_the_backlog_is_what_was_written_and_not_the_room_ahead(tmp_path: Path) -> None:
    table, journal = Table(), Journal(tmp_path)
    assert journal.backlog() == 0
    journal.append(_lines(0, 5))
    assert journal.backlog() == len(b"".join(_lines(0, 5)))
    Drain(tmp_path, table.absorb, _damage).run()
    assert journal.backlog() == 0
