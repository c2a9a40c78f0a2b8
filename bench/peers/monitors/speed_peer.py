"""Time one peer on two files, from the reading of the files to the answer. Runs in its own environment."""

from __future__ import annotations

import json
import sys
import time
import warnings

from peers.monitors.order import keep_to_yourself, read

keep_to_yourself()


def main() -> None:
    """Print one JSON line: version, seconds of reading, seconds of all."""
    warnings.filterwarnings("ignore")
    system, reference, current = sys.argv[1:]
    if system == "evidently":
        from evidently import Report, __version__
        from evidently.presets import DataDriftPreset

        def judge(before, after) -> None:
            Report([DataDriftPreset()]).run(after, before).dict()
    else:
        from nannyml import UnivariateDriftCalculator, __version__

        def judge(before, after) -> None:
            UnivariateDriftCalculator(column_names=list(before.columns)).fit(before).calculate(after).to_df()

    started = time.perf_counter()
    before, after = read(reference), read(current)
    have_read = time.perf_counter() - started
    judge(before, after)
    print(json.dumps({"version": __version__, "read": have_read, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
