"""ADWIN on a row of errors, with river's defaults. Runs in river's environment."""

from __future__ import annotations

from typing import Any

from river.drift import ADWIN

from peers.streams.child import serve


class Detector:
    """One detector; it starts anew when told so."""

    def __init__(self) -> None:
        self.adwin = ADWIN()

    def __call__(self, *, errors: list[float], anew: bool = False) -> dict[str, Any]:
        """Say whether it fired on any of the errors."""
        if anew:
            self.adwin = ADWIN()
        fired = False
        for error in errors:
            self.adwin.update(error)
            fired |= self.adwin.drift_detected
        return {"fired": bool(fired)}


if __name__ == "__main__":
    serve(Detector())
