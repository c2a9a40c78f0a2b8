"""A stamp tells every process of the machine that something changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tenure.state.stamp import Stamp


def test_a_stamp_stays_until_some_process_presses_it(tmp_path: Path) -> None:
    stamp = Stamp(tmp_path / "here" / "stamp")
    first = stamp.look()
    assert stamp.look() == first
    Stamp(tmp_path / "here" / "stamp").press()
    second = stamp.look()
    assert second != first
    code = (
        "import sys; from pathlib import Path; from tenure.state.stamp import Stamp; Stamp(Path(sys.argv[1])).press()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "here" / "stamp")], check=True)
    assert stamp.look() != second
