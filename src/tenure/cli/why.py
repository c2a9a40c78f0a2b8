"""`tenure why`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

from tenure.cli.options import HERE, JsonOption, ProjectOption
from tenure.cli.output import OK, Reply, answers, table
from tenure.engine.rebuild import Said
from tenure.engine.standing import Standing
from tenure.engine.why import Beside, Why
from tenure.engine.why import why as rebuilt
from tenure.engine.why_words import words
from tenure.engine.workspace import open_workspace

app = typer.Typer(add_completion=False)


@app.command()
@answers
def why(
    prediction_id: Annotated[str, typer.Argument(metavar="PREDICTION_ID", help="The id that came with the answer.")],
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> Reply:
    """Rebuild a past prediction: data, version, values, contributions, threshold, and the decision behind."""
    with open_workspace(project) as workspace:
        told = rebuilt(workspace, prediction_id)
    result: dict[str, Any] = {"why": told, "words": words(told), "equal": told.problem is None}
    shows: list[RenderableType] = [*words(told), *_engineer(told)]
    problem = told.problem
    if problem is not None:
        result["error"] = problem.as_dict()
        shows += ["", f"error [{problem.code}]: {problem.message}", f"  next:  {problem.hint}"]
    return Reply(result=result, shows=shows, exit_code=OK if problem is None else problem.exit_code)


def _engineer(told: Why) -> list[RenderableType]:
    """Return the tables for who wants to check: values, numbers, members, steps, origin."""
    again = told.rebuilt
    effects = [(c.feature, c.value, f"{c.effect:+.6g}") for c in again.contributions]
    total = again.base + sum(c.effect for c in again.contributions)
    rows = [("(base)", None, f"{again.base:+.6g}"), *effects, ("(raw score)", None, f"{total:+.6g}")]
    shows: list[RenderableType] = ["", table("column", "was sent", f">adds, {again.unit}", rows=rows), ""]
    encoded = [(n.name, n.column, "code" if n.is_code else "number", _cell(n.value)) for n in again.encoded]
    shows += [table("what the model read", "from", "as", ">value", rows=encoded), ""]
    outputs = told.classes or (told.target,)
    members = [(m.name, f"{m.weight:.4g}", *(repr(x) for x in m.said)) for m in again.members]
    shows += [table("member", ">weight", *(f">{name}" for name in outputs), rows=members), ""]
    steps = [(step.name, *(repr(x) for x in step.said)) for step in again.corrections]
    shows += [table("step", *(f">{name}" for name in outputs), rows=[*steps, *_ends(told)]), ""]
    shows += [*_beside(told.beside), table("behind it", "", rows=_origin(told))]
    return shows


def _ends(told: Why) -> list[tuple[Any, ...]]:
    """Return the steps after the numbers: interval, threshold, answer."""
    again, last = told.rebuilt, max(len(told.classes), 1)
    blank = ("",) * (last - 1)
    found: list[tuple[Any, ...]] = []
    if again.again.low is not None:
        found.append(("interval", *blank, f"{again.again.low!r} to {again.again.high!r}"))
    if again.threshold is not None:
        found.append(("threshold", *blank, repr(again.threshold)))
    found.append(("answer", *blank, str(again.again.prediction)))
    logged = Said(told.record.prediction, told.record.probabilities, told.record.low, told.record.high)
    found.append(("logged", *blank, str(logged.prediction)))
    found += [(f"differs: {d.what}", *blank, f"{d.logged!r} logged, {d.again!r} now") for d in again.differences]
    return found


def _beside(beside: tuple[Beside, ...]) -> list[RenderableType]:
    if not beside:
        return []
    rows = []
    for one in beside:
        shares = ", ".join(repr(share) for share in one.shadow.probabilities)
        state = one.refused or ("differs from the log" if one.differences else "the same to the last bit")
        rows.append((f"v{one.shadow.version}", one.shadow.prediction, shares, state))
    return [table("in its shadow", "said", "probabilities", "made again", rows=rows), ""]


def _origin(told: Why) -> list[tuple[str, str]]:
    standing, record = told.standing, told.record
    rows = [
        ("prediction", f"{record.id}, about {record.event_at[:19]}, said {record.at}"),
        ("route", record.route or "champion"),
    ]
    if standing.move is not None:
        move = standing.move
        rows.append((f"{move.alias.value} since", f"{move.at}, by {move.actor}: {move.reason}"))
    rows += [("ladder", f"{rung.since[:19]}, {rung.step.value}: {rung.says}") for rung in standing.rungs]
    return [*rows, *_decision(standing), *_walk(standing)]


def _decision(standing: Standing) -> list[tuple[str, str]]:
    decision = standing.decision
    if decision is None:
        return []
    rows = [("gate", f"{decision.outcome.value}: {decision.reason}")]
    if decision.comparison is not None:
        compared = decision.comparison
        gain = f"{compared.gain:+.4g} ({compared.low:+.4g} to {compared.high:+.4g})"
        rows.append(("compared", f"{compared.metric} {gain} against {compared.against} on {compared.rows:,} rows"))
    return [*rows, *(("because", f"{f.verdict.value}: {f.says}") for f in decision.because)]


def _walk(standing: Standing) -> list[tuple[str, str]]:
    run = standing.run
    if run is None:
        return [("run", "unknown: no walk of this project made it")]
    code = f"{str(run.data.get('code', ''))[:12]}, {'' if standing.same_code else 'not '}this installation"
    return [
        ("run", f"{run.id}, {run.started_at[:19]}: {run.reason}"),
        ("rows", f"{standing.rows:,} from {standing.source} (snapshot {standing.snapshot[:12]})"),
        ("code", code),
    ]


def _cell(value: float | None) -> str:
    return "missing" if value is None else repr(value)
