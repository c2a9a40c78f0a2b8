"""Run a command as the child of another process, and stop it when that is gone, however it went.

    python -m tenure.cli.child 5 serve --project churn

5 is the end of a pipe to read from, whose other end the parent holds as long as it lives.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from tenure.cli.app import app


def main(parent: int, words: list[str]) -> None:
    """Run `tenure` with these words, under a parent."""
    threading.Thread(target=_mourn, args=(parent,), name="parent", daemon=True).start()
    sys.exit(app(words))


def _mourn(parent: int) -> None:
    os.read(parent, 1)  # nothing is ever written: it ends when the parent does
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
