"""Ask a server with MLflow's own scoring client: MLFLOW_PYTHON mlflow_client.py ADDRESS ROWS.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def main() -> None:
    """Print what was done, seen, and whether it was right."""
    host, port = sys.argv[1].split(":")
    rows = json.loads(Path(sys.argv[2]).read_text())
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=10)
    say("wait_server_ready", "ready", kept=True)
    frame = pd.DataFrame(rows)
    for count in (1, 500):
        answer = client.invoke(frame.head(count)).get_predictions()
        seen = f"{type(answer).__name__} {answer.shape}: {dict(answer.iloc[:, 0].value_counts())}"
        say(f"invoke, a frame of {count} rows", seen, len(answer) == count and set(answer.iloc[:, 0]) <= {"Yes", "No"})
    chances = client.invoke(frame.head(20), params={"output": "proba"}).get_predictions()
    sums = chances.to_numpy(dtype=float).sum(axis=1)
    say("params output=proba", f"{chances.shape}, first {list(chances.iloc[0])}", bool(np.allclose(sums, 1)))
    full = client.invoke(frame.head(2), params={"reasons": 3}).get_predictions()
    say("params reasons=3", f"columns {list(full.columns)}", all(len(one) == 3 for one in full["reasons"]))
    holes = frame.head(2).assign(MonthlyCharges=[np.nan, 20.5], Contract=[None, "Two year"])
    answer = client.invoke(holes).get_predictions()
    say("NaN and None in the frame", f"{list(answer.iloc[:, 0])}", len(answer) == 2)
    records = client.invoke(rows[:3]).get_predictions()
    say("a list of objects", f"{list(records.iloc[:, 0])}", len(records) == 3)
    for what, ask in (
        ("a param that is not known", lambda: client.invoke(frame.head(1), params={"outputs": "x"})),
        ("a column that is missing", lambda: client.invoke(frame.head(1).drop(columns="Contract"))),
    ):
        try:
            ask()
        except Exception as error:
            say(what, f"{type(error).__name__}: {str(error)[:160]}", "400" in str(error))
        else:
            say(what, "answered", kept=False)


def say(what: str, seen: str, kept: bool) -> None:
    """Print a line."""
    print(json.dumps([what, seen, bool(kept)]), flush=True)


if __name__ == "__main__":
    main()
