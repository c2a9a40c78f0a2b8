"""Where every number comes from: the records with their digests, the files they name, and the data dictionary."""

from __future__ import annotations

from typing import Final

from tenure.core.data import Column
from tenure.core.records import Record
from tenure.reporting.blocks import Cell, Pairs, Paragraph, Section, Table
from tenure.reporting.story import Story
from tenure.reporting.words import plural, seconds_in_words, short, whole

_COLUMNS_SHOWN: Final = 250
_SAYS: Final = (
    "Every number on this page carries the digest of the record or file it comes from, in its data-source attribute. "
    "With the digest the record can be found again; the ledger says when each was made."
)


def lineage_section(story: Story) -> Section:
    """Return the records, the offices moved, the files, and where randomness started."""
    source = story.release.digest
    start = (("Random start", str(story.project.training.seed)), ("Project file", story.project.digest()))
    return Section(
        "lineage",
        "Where it all comes from",
        (Paragraph(_SAYS), _records(story), *_moves(story), _files(story), Pairs(start, source)),
    )


def _records(story: Story) -> Table:
    board = story.leaderboard
    probed = f"{plural(len(story.robustness.findings), 'finding')}, {seconds_in_words(story.robustness.seconds)}"
    rooms: tuple[tuple[str, Record, str], ...] = (
        ("ingest", story.snapshot, f"{whole(story.snapshot.rows)} rows from {story.snapshot.source}"),
        ("quality", story.quality, f"{whole(story.quality.rows)} rows kept"),
        ("validation", story.plan, story.plan.splitter),
        ("training", board, f"{plural(len(board.candidates), 'candidate')}, {seconds_in_words(board.seconds)}"),
        ("robustness", story.robustness, probed),
        ("promotion", story.decision, story.decision.outcome.value),
        ("release", story.release, f"v{story.release.version}" if story.release.version else "no version"),
    )
    rows = tuple(
        (Cell(type(record).__name__), Cell(room), Cell(says), Cell(record.digest, "code"))
        for room, record, says in rooms
    )
    return Table("Records", ("Record", "Room", "In short", "Digest"), rows, story.release.digest)


def _moves(story: Story) -> tuple[Table, ...]:
    rows = tuple(
        (
            Cell(m.alias.value),
            Cell(_version(m.before)),
            Cell(_version(m.after)),
            Cell(_moment(m.at)),
            Cell(m.actor),
            Cell(m.reason),
        )
        for m in story.release.moves
    )
    head = ("Office", "From", "To", "At", "By", "Reason")
    return (Table("Offices moved", head, rows, story.release.digest),) if rows else ()


def _files(story: Story) -> Table:
    files = (
        ("Rows as read", story.snapshot.table),
        ("Rows kept", story.quality.clean),
        ("Contract", story.quality.contract),
        ("Blocks of rows", story.plan.blocks),
        ("Honest answers (out of fold)", story.leaderboard.oof),
        ("Baseline’s answers", story.leaderboard.baseline_oof),
        ("Model bundle", story.leaderboard.model),
    )
    rows = tuple((Cell(name), Cell(digest or "none", "code")) for name, digest in files)
    return Table("Files", ("What", "Digest"), rows, story.release.digest)


def _moment(at: str) -> str:
    return at[:16].replace("T", " ") + (" UTC" if at.endswith(("+00:00", "Z")) else "")


def _version(number: int | None) -> str:
    return "nobody" if number is None else f"v{number}"


def dictionary_section(story: Story) -> Section:
    """Return every column: role, kind, type, empty cells, different values, and what is known about it."""
    columns = story.snapshot.schema.columns
    rows = tuple(
        (
            Cell(c.name),
            Cell(c.role.value),
            Cell(c.kind.value),
            Cell(c.dtype, "code"),
            Cell(f"{c.nulls / max(story.snapshot.rows, 1) * 100:.1f} %", "number"),
            Cell(whole(c.distinct), "number"),
            Cell(_about(c, story)),
        )
        for c in columns[:_COLUMNS_SHOWN]
    )
    more = len(columns) - _COLUMNS_SHOWN
    note = f"{whole(more)} more columns are in the record {short(story.snapshot.digest)}." if more > 0 else ""
    head = ("Column", "Role", "Read as", "Type", "Empty", "Values", "About")
    table = Table(plural(len(columns), "column"), head, rows, story.snapshot.digest, note, folded=True)
    return Section("dictionary", "Data dictionary", (table,))


def _about(column: Column, story: Story) -> str:
    dropped = story.quality.dropped.get(column.name)
    return "; ".join(part for part in (column.reason, f"not used: {dropped}" if dropped else "") if part) or "–"
