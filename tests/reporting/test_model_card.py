from __future__ import annotations

import json
import re

from reporting_runs import Written

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


def front_matter(card: str) -> dict[str, str]:
    """Read the flat view of the metadata block: every `key: value` line, as YAML would."""
    block = card.split("---\n")[1]
    found: dict[str, str] = {}
    for line in block.splitlines():
        assert re.fullmatch(r"\s*(- )?[\w-]+(: .+|:)?", line) or re.fullmatch(r"- \w+", line), line
        if match := re.fullmatch(r"\s*(?:- )?([\w-]+): (.+)", line):
            found[match[1]] = json.loads(match[2]) if match[2].startswith('"') else match[2]
    return found


def test_metadata_has_what_the_hub_requires(any_run: Written) -> None:
    data = front_matter(any_run.card)
    assert data["library_name"] == "tenure"
    assert data["pipeline_tag"].startswith("tabular-")
    assert data["revision"] == any_run.walk.snapshot.digest
    assert float(data["value"]) == float(f"{any_run.walk.leaderboard.score.value:.6g}")
    assert "model-index:" in any_run.card
    for key in ("task:", "dataset:", "metrics:", "type:"):
        assert key in any_run.card


def test_every_section_is_there_and_what_only_a_person_knows_is_not_made_up(any_run: Written) -> None:
    headings = re.findall(r"^## (.+)$", any_run.card, flags=re.MULTILINE)
    assert tuple(headings) == SECTIONS
    assert "Sensitive data used: not stated" in any_run.card
    assert "Licence: not stated" in any_run.card


def test_tables_have_a_row_for_each_line_without_gaps(any_run: Written) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", any_run.card, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().splitlines()}
        assert len(widths) == 1, table
