"""The tables of a results file: each server at each load, beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from peers.compare import figure, table
from peers.servers.kinds import FIRST, OURS

Record = dict[str, Any]
_TIMES_MLFLOW: Final = 10.0
Cell = tuple[int, int]
"""Rows in a request, and connections."""


class Board:
    """The records of a results file by server; a figure is the median of the rounds."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = list(records)
        self.servers = list(dict.fromkeys(record["server"] for record in records))
        runs = [run for record in records for run in record["runs"]]
        self.cells: list[Cell] = sorted({(run["rows"], run["connections"]) for run in runs})

    def of(self, server: str) -> list[Record]:
        """Return the rounds of a server."""
        return [record for record in self.records if record["server"] == server]

    def faults(self, server: str) -> list[str]:
        """Return what went wrong with a server, each once."""
        found = [record["error"] for record in self.of(server)]
        for record in self.of(server):
            found += [f"{_named(_cell(run))}: {run['error']}" for run in record["runs"] if run["error"]]
        return [fault for fault in dict.fromkeys(found) if fault]

    def load(self, server: str, cell: Cell, what: str) -> float | None:
        """Return the median of a figure of one load; None where a run failed or there is none."""
        runs = [run for record in self.of(server) for run in record["runs"] if _cell(run) == cell]
        if not runs or any(run["error"] for run in runs):
            return None
        return median(run[what] for run in runs)

    def whole(self, server: str, what: str) -> float | None:
        """Return the median of a figure of whole rounds."""
        found = [record[what] for record in self.of(server) if record.get(what) is not None]
        return median(found) if found else None


def report(records: Sequence[Record]) -> str:
    """Return the tables of a results file as markdown, what went wrong, and whether ours is ahead everywhere."""
    board = Board(records)
    parts = [_about(board), load_table(board)]
    faults = [f"- {server}: {fault}" for server in board.servers for fault in board.faults(server)]
    if faults:
        parts += ["### Failed", "\n".join(faults)]
    parts += ["### Log", log_lines(board), "### Is ours ahead?", "\n".join(verdicts(board))]
    return "\n\n".join(part for part in parts if part)


def _about(board: Board) -> str:
    first = board.records[0]
    versions = {record["server"]: record["version"] for record in board.records}
    rounds = len({record["round"] for record in board.records})
    loads = [record["load"] for record in board.records]
    return (
        f"{first['at'][:10]}; {first['cores']} cores ({first['processor']}), {first['memory_gib']} GiB, Python "
        f"{first['python']}, log on {first['file_system']}; {first['set']}, {first['columns']} columns, "
        f"{first['trees']} trees; {first['seconds']} s a load, median of {rounds} rounds; load average before each "
        f"server {min(loads):.1f} to {max(loads):.1f}.\n\n"
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}. Each had to give the "
        "same probabilities (to 1e-9) before it was timed.\n\n"
        f"In brackets: how many times better `{FIRST}` is; below 1 it is worse."
    )


def load_table(board: Board) -> str:
    """Return one table with a line for each server."""
    head = ["server"]
    for cell in board.cells:
        head += [f"{_named(cell)}: {'requests' if cell[0] == 1 else 'rows'}/s", "p50 / p99, ms"]
    lines = []
    for server in board.servers:
        line = [server]
        for cell in board.cells:
            line += [_rate(board, server, cell), _latency(board, server, cell)]
        lines.append([*line, *_costs(board, server)])
    return table([*head, "first answer, s", "RSS / PSS, MiB", "processes"], lines)


def _rate(board: Board, server: str, cell: Cell) -> str:
    own, ours = (board.load(name, cell, "requests_s") for name in (server, FIRST))
    if own is None:
        return "failed"
    return f"{own * cell[0]:,.0f}{_times(server, ours, own)}"


def _latency(board: Board, server: str, cell: Cell) -> str:
    own, ours = (board.load(name, cell, "p99_ms") for name in (server, FIRST))
    half = board.load(server, cell, "p50_ms")
    if own is None or half is None:
        return "failed"
    return f"{figure(half, 3)} / {figure(own, 3)}{_times(server, own, ours)}"


def _costs(board: Board, server: str) -> list[str]:
    start, rss, pss, processes = (board.whole(server, what) for what in ("start_s", "rss_mb", "pss_mb", "processes"))
    first = "failed" if start is None else f"{start:.2f}{_times(server, start, board.whole(FIRST, 'start_s'))}"
    if rss is None or pss is None:
        return [first, "failed", "-"]
    return [first, f"{rss:,.0f} / {pss:,.0f}{_times(server, pss, board.whole(FIRST, 'pss_mb'))}", f"{processes:g}"]


def _times(server: str, more: float | None, less: float | None) -> str:
    """Say in brackets how many times `less` goes into `more`; nothing for the server that all are compared with."""
    return "" if server == FIRST or more is None or less is None else f" ({figure(more / less, 2)})"


def log_lines(board: Board) -> str:
    """Say for each round of ours whether every answered row is in the log, and none that nobody asked for."""
    lines = []
    for record in board.records:
        if "logged" not in record:
            continue
        more, most = record["logged"] - record["answered"], record["on_their_way"]
        told = f"{more:,} more, of at most {most:,} on their way when a load stopped"
        if more < 0:
            told = f"**{-more:,} MISSING**"
        elif more > most:
            told = f"**{more:,} more, but only {most:,} can have been on their way**"
        lines.append(
            f"- {record['server']}, round {record['round'] + 1}: {record['answered']:,} rows answered, "
            f"{record['logged']:,} in the log: {told}."
        )
    return "\n".join(lines) or "No server of ours answered."


def verdicts(board: Board) -> list[str]:
    """Say where ours is not ahead of a peer with one row a request, and whether it is 10 times as quick as MLflow."""
    peers = [server for server in board.servers if server not in OURS]
    singles = [cell for cell in board.cells if cell[0] == 1]
    behind = []
    for cell in singles:
        for what, unit in (("requests_s", "requests/s"), ("p99_ms", "p99")):
            ours = board.load(FIRST, cell, what)
            for peer in peers:
                theirs = board.load(peer, cell, what)
                if theirs is None:
                    continue
                if ours is None or (ours <= theirs if what == "requests_s" else ours >= theirs):
                    told = "failed" if ours is None else f"{figure(ours)} against {figure(theirs)}"
                    behind.append(f"- behind {peer}, {_named(cell)}, {unit}: {told}")
    lines = behind or [
        f"- `{FIRST}` is ahead of {', '.join(peers)} on requests/s and p99 at every number of connections."
    ]
    for cell in singles:
        ours, theirs = (board.load(name, cell, "requests_s") for name in (FIRST, "mlflow"))
        if ours is not None and theirs is not None:
            enough = "" if ours >= _TIMES_MLFLOW * theirs else f", less than {_TIMES_MLFLOW:g}"
            lines.append(f"- {ours / theirs:.1f} times the requests/s of mlflow, {_named(cell)}{enough}")
    return lines if peers else ["No peer was measured."]


def _cell(run: dict[str, Any]) -> Cell:
    return run["rows"], run["connections"]


def _named(cell: Cell) -> str:
    rows, connections = cell
    name = f"{connections} connection{'s' if connections > 1 else ''}"
    return name if rows == 1 else f"{rows:,} rows, {name}"
