"""The main job on real data, told in plain lines: from a table to a model that looks after itself, and back again.

Everything here is what a user would do: the command line, a server on loopback, HTTP requests.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
from story import Month, tell

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "demo-output" / "churn"
DELIVERIES = PROJECT / "data" / "deliveries"
STARTED = time.monotonic()


def say(text: str = "") -> None:
    """Print one line of the story with the seconds so far."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}" if text else "", flush=True)


def tenure(*words: str, ok: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run one command with --json and return its result; stop the demo where it does not end as it should."""
    say(f"$ tenure {' '.join(words)}")
    command = [sys.executable, "-m", "tenure", *words, "--json"]
    if words[0] != "init":
        command += ["--project", str(PROJECT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode not in ok:
        sys.exit(
            f"tenure {words[0]} ended with {done.returncode}, which is not in the story:\n{done.stderr}{done.stdout}"
        )
    result: dict[str, Any] = json.loads(done.stdout)
    return result["result"] | {"exit_code": done.returncode}


def write_project() -> None:
    """Let tenure write the project file, then add what only the owner knows."""
    tenure(
        "init",
        str(DELIVERIES / "*.parquet"),
        "--target",
        "Churn",
        "--positive",
        "Yes",
        "--time",
        "seen_on",
        "--key",
        "customerID",
        "--name",
        "churn",
        "--out",
        str(PROJECT),
    )
    path = PROJECT / "tenure.toml"
    text = path.read_text()
    for section, lines in {
        "project": 'question = "Which customers leave within a month?"',
        "data": 'outcome_delay = "14d"',
        "value": 'action = "call with an offer"\ncurrency = "EUR"\ntrue_positive = 120.0\nfalse_positive = -40.0',
        "training": 'budget = "16s"',
        "monitoring": 'window = "30d"',
        "operations": 'autonomy = "auto"',
        "promotion": "steps = []",  # months pass in seconds here: no time to try a version on live traffic
    }.items():
        text = put_into(text, section, lines)
    tomllib.loads(text)
    path.write_text(text)


def put_into(text: str, section: str, lines: str) -> str:
    """Set keys of a section in the text of a project file, leaving its comments alone."""
    head, body = text.split(f"[{section}]\n", 1)
    inside, *rest = re.split(r"(?m)^(?=\[)", body, maxsplit=1)
    for line in lines.splitlines():
        key = line.split(" = ")[0]
        inside = re.sub(rf"(?m)^{key} = .*\n", "", inside)
    return f"{head}[{section}]\n{lines}\n{inside}{''.join(rest)}"


class Server:
    """`tenure serve` as a process of its own on a free port."""

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "tenure", "serve", "--port", "0", "--project", str(PROJECT)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"http://\S+", line)
            if found:
                self.url = found[0]
                say(line.strip())
                return self
        sys.exit("the server did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)

    def post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON and return the JSON of the answer."""
        request = urllib.request.Request(
            self.url + route, json.dumps(body, default=str).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            result: dict[str, Any] = json.load(answer)
        return result


def score_month(server: Server, month: Month) -> dict[str, str]:
    """Ask about every customer of a month over HTTP, 50 at a time; return prediction ids by customer."""
    ids, flagged, versions = {}, 0, set()
    rows = month.questions.to_dicts()
    for at in range(0, len(rows), 50):
        answer = server.post("/predict", {"rows": rows[at : at + 50]})
        for row, said in zip(rows[at : at + 50], answer["predictions"], strict=True):
            ids[row["customerID"]] = said["id"]
            flagged += said["prediction"] == "Yes"
            versions.add(said["version"])
    say(f"{month.name}: {len(rows)} customers scored by {', '.join(sorted(versions))}; {flagged} to be called.")
    return ids


def outcomes_arrive(server: Server, month: Month, ids: dict[str, str]) -> None:
    """Report a month's outcomes a month late, and deliver the labelled table to the data folder."""
    known_at = f"{month.first_day + timedelta(days=60)}T08:00:00Z"
    items = [
        {"id": ids[row["customerID"]], "outcome": row["Churn"], "known_at": known_at} for row in month.rows.to_dicts()
    ]
    counts = server.post("/outcomes", {"outcomes": items})
    again = server.post("/outcomes", {"outcomes": items[:100]})
    deliver(month.rows, month.name.replace(" ", "-"))
    say(
        f"{month.name}: outcomes arrived a month late: {counts['joined']} joined; "
        f"100 of them sent twice by mistake: {again['repeated']} known already."
    )


def deliver(rows: pl.DataFrame, name: str) -> None:
    """Put a labelled table where the project looks for data."""
    DELIVERIES.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(DELIVERIES / f"{name}.parquet")


def watch() -> dict[str, Any]:
    """Let tenure look at health and act; tell what it saw and did."""
    seen = tenure("watch", "--once", ok=(0, 4, 5, 6))
    say(f"  it saw: {seen['health']['headline']}")
    say(f"  it chose: {seen['action']['verb']} - {seen['action']['reason']}")
    if seen.get("walk"):
        say(f"  the walk: {seen['walk']['outcome']} - {seen['walk']['reason']}")
    return seen


def office() -> str:
    """Return the version in office."""
    status: dict[str, Any] = tenure("status")
    return str(status["champion"]["version"])


def first_model(history: pl.DataFrame) -> None:
    """Write the project and train the first model."""
    say(f"A telephone company has {history.height:,} past customers in a table, and wants to know who will leave.")
    deliver(history, "month-0-history")
    write_project()
    walk = tenure("run")
    score = walk["score"]
    say(f"  compared how: {walk['split_reason']}")
    say(f"  {score['metric']} {score['value']:.3f} (between {score['low']:.3f} and {score['high']:.3f})")
    say(f"  {walk['version']} took office: {walk['reason']}")


def half_a_year(months: list[Month]) -> str:
    """Score month after month while outcomes follow and tenure watches; return the version in office at the end."""
    with Server() as server:
        waiting: tuple[Month, dict[str, str]] | None = None
        for month in months:
            if month.changed and not months[months.index(month) - 1].changed:
                say("(The company raises its fibre prices by a third; we planted that. Nobody tells the model.)")
            ids = score_month(server, month)
            if waiting is not None:
                outcomes_arrive(server, *waiting)
            watch()
            waiting = (month, ids)
        if waiting is not None:
            outcomes_arrive(server, *waiting)
        held = office()
        say(f"{held} is in office now; v1 was not told to leave by anybody but the policy.")
    return held


def a_bad_release(month: Month, good: str) -> None:
    """Put the old model back by hand, as happens; tenure has to notice that it loses, and take it out again."""
    say("A colleague prefers the old model and forces it back into office by hand:")
    tenure("rollback", "--to", "v1", "--reason", "a colleague prefers the old model")
    with Server() as server:
        ids = score_month(server, month)
        outcomes_arrive(server, month, ids)
        seen = watch()
    held = office()
    if seen["action"]["verb"] not in ("roll back", "retrain") or held == "v1":
        sys.exit("the bad release stayed in office")
    say(f"  {held} is in office now, put there by the policy; {good} was there before the colleague came.")


def main() -> None:
    """Tell the whole story."""
    shutil.rmtree(PROJECT.parent, ignore_errors=True)
    history, months = tell()
    first_model(history)
    good = half_a_year(months[:-1])
    if good == "v1":
        sys.exit("no challenger was promoted")
    a_bad_release(months[-1], good)
    say("What was decided, by whom and why (tenure history --versions):")
    for move in tenure("history", "--versions", "--verify")["moves"]:
        if move["alias"] == "champion":
            before = "nobody" if move["before"] is None else f"v{move['before']}"
            say(f"  {before} -> v{move['after']} by {move['actor']}: {move['reason']}")
    report = tenure("report")
    health = tenure("monitor", ok=(0, 5))
    say(f"The dossier for the owner: {report['page']}")
    say(f"The health page:           {health['page']}")


if __name__ == "__main__":
    main()
