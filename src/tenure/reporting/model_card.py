"""The model card: Markdown with Hugging Face metadata, sections after Mitchell et al. 2019.

What only a person can know is "not stated", so that nothing is made up.
"""

from __future__ import annotations

import re
from typing import Any, Final

from markupsafe import Markup, escape

from tenure.core.data import Role
from tenure.core.evidence import SEVERITY, Verdict
from tenure.core.metrics import METRICS
from tenure.core.modelling import Task
from tenure.reporting.owner import headline, lead
from tenure.reporting.page import templates
from tenure.reporting.story import Story, Told
from tenure.reporting.words import (
    chance,
    hundredths,
    metric_in_words,
    number,
    plural,
    seconds_in_words,
    sentence,
    whole,
)

NOT_STATED: Final = "not stated"
_PIPELINE: Final = {
    Task.BINARY: "tabular-classification",
    Task.MULTICLASS: "tabular-classification",
    Task.REGRESSION: "tabular-regression",
}
_MARKS: Final = re.compile(r"([\\`*_{}\[\]|#])")
_FINDINGS: Final = 40


def model_card(story: Story, told: Told) -> str:
    """Return the card of the run's model as Markdown."""
    environment = templates().overlay()
    environment.filters["md"] = _as_markdown
    environment.filters["sentence"] = sentence
    return environment.get_template("card.md.j2").render(**_content(story, told))


def _as_markdown(value: object) -> Markup:
    """Return text that Markdown shows as it is: one line, no HTML, no marks that would be read as layout."""
    line = " ".join(str(value).split())
    # Escaped for HTML first, then for Markdown, so nothing in a column name can become markup.
    return Markup(_MARKS.sub(r"\\\1", str(escape(line))))


def _content(story: Story, told: Told) -> dict[str, Any]:
    board, project = story.leaderboard, story.project
    findings = [f for f in (*story.robustness.findings, *story.quality.findings) if f.verdict is not Verdict.SKIPPED]
    loud = sorted((f for f in findings if f.verdict is not Verdict.PASS), key=lambda f: -SEVERITY[f.verdict])
    return {
        "metadata": _metadata(story),
        "name": project.project.name,
        "headline": headline(story, told),
        "lead": lead(story, told),
        "not_stated": NOT_STATED,
        "owner": project.project.owner or NOT_STATED,
        "question": project.project.question or NOT_STATED,
        "action": project.value.action if project.value.is_given else NOT_STATED,
        "version": f"v{story.release.version}" if story.release.version is not None else "no version",
        "outcome": story.release.outcome.value,
        "dated": story.release.moves[0].at if story.release.moves else NOT_STATED,
        "task": story.task.value,
        "target": story.target,
        "classes": story.snapshot.classes,
        "members": [c for c in board.candidates if c.weight > 0],
        "features": len([c for c in story.snapshot.schema.features if c.name not in story.quality.dropped]),
        "importance": sorted(board.importance, key=lambda i: -i.share)[:10],
        "metric": METRICS[board.metric].label if board.metric in METRICS else board.metric,
        "metric_words": metric_in_words(board.score),
        "scores": [(n, s) for n, s in (("this model", board.score), ("baseline", board.baseline))],
        "facts": told.facts,
        "threshold": chance(board.threshold) if board.threshold is not None else NOT_STATED,
        "plan": story.plan,
        "board": board,
        "snapshot": story.snapshot,
        "quality": story.quality,
        "time_and_group": [c.name for role in (Role.TIME, Role.GROUP) for c in story.snapshot.schema.with_role(role)],
        "slices": [f for f in findings if "slice" in f.check][:_FINDINGS],
        "parity": [f for f in findings if "parity" in f.check or "fair" in f.check][:_FINDINGS],
        "loud": loud[:_FINDINGS],
        "number": number,
        "whole": whole,
        "hundredths": hundredths,
        "plural": plural,
        "seconds": seconds_in_words,
    }


def _metadata(story: Story) -> dict[str, Any]:
    """Return the values of the metadata block, with the keys that the Hugging Face hub requires."""
    board = story.leaderboard
    name = story.project.project.name
    return {
        "pipeline": _PIPELINE[story.task],
        "metric": board.metric,
        "metric_label": METRICS[board.metric].label if board.metric in METRICS else board.metric,
        "name": name,
        "dataset_type": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "data",
        "dataset_name": name,
        "split": story.plan.splitter,
        "revision": story.snapshot.digest,
        "value": float(f"{board.score.value:.6g}") if board.score.value == board.score.value else None,
    }
