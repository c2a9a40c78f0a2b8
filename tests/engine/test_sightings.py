"""What a look at health becomes: which findings are one cause, and when a cause is known to be gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from small_worlds import SMALL_PROJECT, small_world
from tenure.core.alarms import Alarm, AlarmStatus, Severity, Sighting
from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.health import Change, Health, HealthReport, Price, Reading, Span, WindowHealth
from tenure.core.lifecycle import OutcomeRecord, PredictionRecord
from tenure.core.modelling import Score
from tenure.core.project import MonitoringSection
from tenure.engine.alerts.look import alarms_of, observe_alarms
from tenure.engine.alerts.sightings import sightings_of
from tenure.engine.watch import examine
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.alarms import ALARM_EVENT
from tenure.state.outbox import Outbox

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def finding(check: str, verdict: Verdict, subject: str | None = None, since: str | None = None) -> Finding:
    skipped = "too few" if verdict is Verdict.SKIPPED else None
    says, evidence = f"{check} of {subject}.", {} if since is None else {"since": since}
    return Finding(check, verdict, Measurement(check, 1.0, subject, says, "Ask.", evidence=evidence, skipped=skipped))


def window(
    days: int, rows: int = 500, *, known: int = 0, ripe: bool = True, faults: tuple[str, ...] = ()
) -> WindowHealth:
    """Return a day's window that began so many days before now."""
    start = NOW - timedelta(days=days)
    realised = Score("roc_auc", 0.7, 0.6, 0.8, known) if known else None
    end = (start + timedelta(days=1)).isoformat()
    return WindowHealth(start.isoformat(), end, rows, known / rows, (1,), realised=realised, faults=faults, ripe=ripe)


def found(
    *findings: Finding,
    windows: tuple[WindowHealth, ...] = (),
    changes: tuple[Change, ...] = (),
    size: str = "1d",
    alarms: tuple[Alarm, ...] = (),
) -> dict[str, Sighting]:
    health = HealthReport(findings, version=1, windows=windows, changes=changes)
    seen = sightings_of(health, MonitoringSection(window=size), currency="EUR", now=NOW, alarms=alarms)
    return {sighting.kind: sighting for sighting in seen}


def taken(kind: str, version: int | None = None) -> Alarm:
    """Return a page that a person takes care of."""
    return Alarm(1, kind, version, Severity.PAGE, AlarmStatus.ACKNOWLEDGED, "It is bad.", ("x",), (), 0, 0)


def names(sighting: Sighting) -> list[tuple[str, Severity]]:
    return [(symptom.name, symptom.severity) for symptom in sighting.symptoms]


def test_rules_of_many_columns_are_one_cause_pages_first() -> None:
    seen = found(
        finding("out-of-range", Verdict.WARN, "age"),
        finding("missing-values", Verdict.FAIL, "plan"),
        finding("new-values", Verdict.FAIL, "plan"),
        finding("missing-values", Verdict.PASS, "city"),
    )
    assert names(seen["feed"]) == [("plan", Severity.PAGE), ("age", Severity.NOTICE)]
    assert seen["feed"].version is None
    assert [kind for kind, sighting in seen.items() if sighting.symptoms] == ["feed"]


def test_realised_score_and_value_are_one_cause_of_the_version() -> None:
    seen = found(
        finding("realised-score", Verdict.WARN, "the latest window", since="2026-02-01"),
        finding("realised-score", Verdict.FAIL, "the latest 4 windows", since="2026-02-01"),
        finding("realised-value", Verdict.FAIL),
    )
    assert names(seen["performance"]) == [("the model", Severity.PAGE)]
    assert (seen["performance"].version, seen["performance"].symptoms[0].since) == (1, "2026-02-01")


def test_a_model_that_does_badly_on_broken_rows_is_a_symptom_of_the_feed() -> None:
    bad = (finding("missing-values", Verdict.FAIL, "age"), finding("realised-score", Verdict.FAIL))
    windows = (window(3, known=500, faults=("missing-values: age",)), *(window(2, known=500),) * 3)
    seen = found(*bad, windows=windows)
    assert names(seen["feed"]) == [("age", Severity.PAGE), ("the model", Severity.PAGE)]
    assert (names(seen["performance"]), seen["performance"].judged) == ([], False)
    mended = found(finding("missing-values", Verdict.PASS, "age"), bad[1], windows=windows, alarms=(taken("feed"),))
    assert (names(mended["feed"]), mended["feed"].lead) == ([("the model", Severity.PAGE)], "")
    later = found(bad[1], windows=(*windows, window(1, known=500)))
    assert (names(later["feed"]), names(later["performance"])) == ([], [("the model", Severity.PAGE)])


@pytest.mark.parametrize(
    ("feed", "alarms"),
    [(Verdict.WARN, ()), (Verdict.PASS, ()), (Verdict.FAIL, (taken("performance", 1),))],
    ids=["harmless", "mended before anyone was told", "a fall with an alarm of its own"],
)
def test_a_fall_stays_one_of_performance(feed: Verdict, alarms: tuple[Alarm, ...]) -> None:
    bad = (finding("missing-values", feed, "age"), finding("realised-score", Verdict.FAIL))
    windows = (window(3, known=500, faults=("missing-values: age",)), window(2, known=500))
    seen = found(*bad, windows=windows, alarms=alarms)
    assert names(seen["performance"]) == [("the model", Severity.PAGE)]
    assert "the model" not in dict(names(seen["feed"]))


def test_an_alarm_of_another_version_keeps_no_fall_from_the_feed() -> None:
    bad = (finding("missing-values", Verdict.FAIL, "age"), finding("realised-score", Verdict.FAIL))
    windows = (window(2, known=500, faults=("missing-values: age",)),)
    assert "the model" in dict(names(found(*bad, windows=windows, alarms=(taken("performance", 7),))["feed"]))


def test_a_broken_check_is_a_cause_of_its_own_and_tells_nothing_of_what_it_checks() -> None:
    seen = found(finding("realised-score", Verdict.ERROR), finding("psi", Verdict.PASS, "age"))
    assert names(seen["check"]) == [("realised-score", Severity.PAGE)]
    assert (seen["performance"].judged, seen["drift"].judged, seen["check"].judged) == (False, True, True)


def test_traffic_and_outcomes_that_stopped_are_causes_of_their_own_judged_by_the_day() -> None:
    seen = found(
        finding("traffic-freshness", Verdict.FAIL),
        finding("volume", Verdict.WARN),
        finding("outcome-freshness", Verdict.WARN),
        finding("outcome-values", Verdict.FAIL),
        windows=(window(2),),
    )
    assert names(seen["traffic"]) == [("traffic-freshness", Severity.PAGE), ("volume", Severity.NOTICE)]
    assert names(seen["outcomes"]) == [("outcome-values", Severity.PAGE), ("outcome-freshness", Severity.NOTICE)]
    assert {seen[kind].window for kind in ("traffic", "outcomes", "check")} == {"2026-03-01"}
    assert all(sighting.version is None for sighting in (seen["traffic"], seen["outcomes"]))


def test_an_estimate_is_a_cause_of_the_version() -> None:
    seen = found(finding("estimated-score", Verdict.WARN))["estimate"]
    assert (names(seen), seen.version) == ([("the model", Severity.NOTICE)], 1)


def test_an_alarm_of_many_columns_brings_the_price_that_it_names() -> None:
    broken = Change("age", "It broke.", price=Price(Reading.WORLD, Span(0.1, 0.1, 0.1), Span(0.5, 0.4, 0.6)))
    moved = Change("plan", "It moved.", price=Price(Reading.WORLD, Span(0.01, 0.0, 0.02), Span(0.031, 0.012, 0.05)))
    alarm = finding("drift", Verdict.FAIL)
    named = replace(alarm, measurement=replace(alarm.measurement, evidence={"priced": "plan"}))
    for drift, price in ((named, "about 3.1% (1.2% to 5.0%) of the skill"), (alarm, None)):
        (symptom,) = found(drift, changes=(broken, moved))["drift"].symptoms
        assert symptom.price == price


def test_what_drifted_brings_its_price() -> None:
    price = Price(Reading.INSTRUMENT, Span(0.01, 0.0, 0.02), Span(0.031, -0.012, 0.05), Span(1200.0, 400.0, 2000.0))
    moved = Change("age", "It moved.", since="2026-02-20", price=price)
    changes = (moved, Change("plan", "It moved.", price=price, harmless=True))
    seen = found(finding("drift", Verdict.FAIL, "age"), finding("psi", Verdict.WARN, "plan"), changes=changes)["drift"]
    assert seen.symptoms[0].price == (
        "about 3.1% (0% to 5.0%) of the skill, and 1,200 EUR per 1,000 decisions (400 to 2,000)"
    )
    assert (seen.symptoms[0].since, seen.symptoms[0].hint) == ("2026-02-20", "Ask.")
    assert seen.symptoms[1].price == "harmless: within the tolerance even at worst"


def test_the_window_is_the_last_full_one_with_enough_rows_or_ripe_outcomes() -> None:
    windows = (window(4, known=400), window(3, known=400, ripe=False), window(2), window(1, 40), window(0, 900))
    seen = found(finding("realised-score", Verdict.PASS), finding("psi", Verdict.PASS, "age"), windows=windows)
    assert (seen["drift"].window, seen["performance"].window) == (windows[2].start, windows[0].start)
    seen = found(finding("psi", Verdict.PASS, "age"), windows=(window(2, 500), window(1, 499)), size="500 rows")
    assert seen["drift"].window == window(2).start


@pytest.mark.parametrize(
    ("findings", "judged"),
    [
        ([], False),
        ([finding("enough-rows", Verdict.SKIPPED)], False),
        ([finding("enough-rows", Verdict.SKIPPED), finding("missing-values", Verdict.PASS, "age")], False),
        ([finding("missing-values", Verdict.SKIPPED, "age")], False),
        ([finding("missing-values", Verdict.PASS, "age")], True),
    ],
)
def test_rows_that_were_not_judged_clear_nothing(findings: list[Finding], judged: bool) -> None:
    assert found(*findings)["feed"].judged is judged


def test_a_column_that_could_not_be_judged_is_doubtful() -> None:
    seen = found(
        finding("missing-values", Verdict.PASS, "age"),
        finding("out-of-range", Verdict.SKIPPED, "age"),
        finding("out-of-range", Verdict.SKIPPED, "plan"),
    )
    assert seen["feed"].doubtful == {"plan"}


# ---- on a real project ----


def answer(workspace: Workspace, *, empty: bool = False, rows: int = 600, first: int = 0) -> None:
    """Log answers of the champion, and what came true."""
    frame = small_world(rows, seed=11)
    truth, asked = frame["left"].to_list(), frame.drop("left")
    if empty:
        asked = asked.with_columns(strong=pl.lit(None, dtype=pl.Float64))
    scored = workspace.scorer(workspace.champion()).score(asked)
    assert scored.probabilities is not None
    assert scored.labels is not None
    at = workspace.context.clock().isoformat()
    said = [
        PredictionRecord(f"p{first + i}", 1, at, at, features, label, tuple(float(p) for p in chances))
        for i, (features, label, chances) in enumerate(
            zip(asked.to_dicts(), scored.labels, scored.probabilities, strict=True)
        )
    ]
    workspace.traffic.log_predictions(said)
    workspace.traffic.record_outcomes(
        [OutcomeRecord(came, at, prediction_id=p.id) for p, came in zip(said, truth, strict=True)]
    )


def followed(workspace: Workspace) -> HealthReport:
    health = examine(workspace)
    observe_alarms(workspace, health)
    return health


def pages_told(workspace: Workspace) -> list[str]:
    told = [event.data for event in workspace.ledger.events(kind=ALARM_EVENT) if event.data["severity"] == "page"]
    return [f"{data['kind']} {data['change']}" for data in told]


def test_a_planted_illness_is_one_alarm_until_rows_are_good_again(office: Path) -> None:
    (office / "tenure.toml").write_text(SMALL_PROJECT + '\n[alerts]\nwebhook = "http://localhost:9/x"\n')
    with open_workspace(office) as workspace:
        outbox = Outbox(workspace.database, workspace.ledger, workspace.context.clock)
        answer(workspace)
        followed(workspace)
        assert (pages_told(workspace), outbox.all()) == ([], [])
        answer(workspace, empty=True, first=600)
        health = followed(workspace)
        assert health.status is Health.ILL
        assert pages_told(workspace) == ["feed opened"]
        (alarm,) = [alarm for alarm in alarms_of(workspace).all() if alarm.severity is Severity.PAGE]
        assert alarm.covers == ("strong",)
        assert workspace.context.artifacts.get_record(HealthReport, alarm.health) == health
        events = workspace.ledger.events()
        for _ in range(3):
            followed(workspace)
        assert workspace.ledger.events() == events
        answer(workspace, first=1200)
        answer(workspace, first=1800)
        followed(workspace)
        assert pages_told(workspace) == ["feed opened", "feed resolved"]
        assert [alarm for alarm in alarms_of(workspace).all() if alarm.severity is Severity.PAGE] == []
        assert len(outbox.all()) == 2
