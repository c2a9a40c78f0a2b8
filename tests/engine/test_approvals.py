"""Acts wait for a person, are answered once, carried out once, and lapse when nothing speaks for them any more."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from listeners import mail_server, webhook
from typer.testing import CliRunner

from small_worlds import small_world
from tenure.cli.app import app
from tenure.core.errors import NoPreviousError, ProposalMissingError, ProposalStateError, StateUnreachableError
from tenure.core.evidence import Finding, Measurement, Verdict
from tenure.core.lifecycle import Action, Alias, Verb
from tenure.core.retraining import Recipe
from tenure.engine import approvals
from tenure.engine.alerts.answer import Way
from tenure.engine.alerts.delivery import deliver
from tenure.engine.approved import carry_out_answered
from tenure.engine.watch import carry_out_approved, examine
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.leases import Lease
from tenure.state.ledger import Ledger
from tenure.state.outbox import Outbox
from tenure.state.proposals import LINK_EVENT, Proposal, ProposalState
from tenure.state.registry import Registry

DAY = 86_400.0


def cause(check: str = "realised score", *, since: str = "w1", version: int = 1) -> Finding:
    return Finding(check, Verdict.FAIL, Measurement(check, 0.5, evidence={"version": version, "since": since}))


RETRAIN = Action(Verb.RETRAIN, "The model is worse than promised.", cause())
ROLL_BACK = Action(Verb.ROLL_BACK, "v2 does harm.", cause("harm", version=2))
WELL = Action(Verb.KEEP, "All is well.")


def clocked(workspace: Workspace, clock: Any) -> Workspace:
    """Put a project on the clock that tests move."""
    ledger = Ledger(workspace.database, clock)
    context = replace(workspace.context, clock=clock)
    return replace(workspace, context=context, ledger=ledger, registry=Registry(workspace.database, ledger, clock))


@pytest.fixture
def workspace(office: Path, clock: Any) -> Iterator[Workspace]:
    with open_workspace(office, actor="watch") as opened:
        yield clocked(opened, clock)


def state(workspace: Workspace, proposal: Proposal) -> ProposalState:
    return approvals.proposals_of(workspace).all()[proposal.number - 1].state


def test_the_same_act_for_the_same_cause_is_put_to_people_once(workspace: Workspace) -> None:
    first = approvals.propose(workspace, RETRAIN)
    assert approvals.propose(workspace, replace(RETRAIN, reason="In other words.")) == first
    second = approvals.propose(workspace, ROLL_BACK)
    assert (first.label, second.label) == ("P1", "P2")
    assert state(workspace, first) is ProposalState.LAPSED
    assert [one.label for one in approvals.waiting(workspace)] == ["P2"]
    assert approvals.action_of(workspace, second) == ROLL_BACK


def test_what_was_declined_is_not_asked_again_for_its_cause(workspace: Workspace) -> None:
    first = approvals.propose(workspace, RETRAIN)
    approvals.decline(workspace, None, who="ann", why="the feed is being mended")
    assert approvals.propose(workspace, RETRAIN).label == first.label
    assert approvals.waiting(workspace) == ()
    assert approvals.propose(workspace, replace(RETRAIN, cause=cause(since="w9"))).label == "P2"


def test_a_prospect_asks_one_question_however_often_it_is_looked_at(workspace: Workspace) -> None:
    def asked(since: str, recipe: str) -> Action:
        return replace(RETRAIN, cause=cause("prospect", since=since), recipe=Recipe(recipe))

    assert approvals.propose(workspace, asked("w1", "all")) == approvals.propose(workspace, asked("w2", "half"))
    assert len(approvals.waiting(workspace)) == 1
    assert approvals.review(workspace, replace(WELL, cause=cause("prospect", since="w3"))) == ()
    assert len(approvals.review(workspace, WELL)) == 1


def test_a_proposal_lapses_with_its_cause_and_its_champion_and_its_time(workspace: Workspace, clock: Any) -> None:
    gone = approvals.propose(workspace, RETRAIN)
    assert approvals.review(workspace, replace(WELL, cause=RETRAIN.cause)) == ()
    (lapsed,) = approvals.review(workspace, WELL)
    assert lapsed.says == "Its cause is gone: All is well."
    assert approvals.review(workspace, WELL) == ()

    old = approvals.propose(workspace, RETRAIN)
    clock.advance(14 * DAY)
    assert approvals.waiting(workspace) == ()
    with pytest.raises(ProposalStateError, match="Nobody answered it in 14 days"):
        approvals.approve(workspace, old.label, who="ann")
    assert [one.label for one in approvals.review(workspace, replace(WELL, cause=RETRAIN.cause))] == [old.label]

    left = approvals.propose(workspace, RETRAIN)
    approvals.approve(workspace, None, who="ann")
    model = workspace.champion().model
    version = workspace.registry.register(model + "x", run_id="r", leaderboard="", actor="test")
    workspace.registry.move({Alias.CHAMPION: version.number}, actor="test", reason="another")
    assert approvals.answered(workspace) == ()
    assert [one.label for one in approvals.review(workspace, RETRAIN)] == [left.label]
    assert state(workspace, gone) is ProposalState.LAPSED


def test_of_many_answers_at_once_one_counts(office: Path, workspace: Workspace) -> None:
    approvals.propose(workspace, RETRAIN)
    said: list[str] = []
    start = threading.Barrier(6)

    def answer(who: str) -> None:
        with open_workspace(office) as mine:
            mine = clocked(mine, workspace.context.clock)
            start.wait()
            try:
                approvals.approve(mine, "P1", who=who)
                said.append(who)
            except ProposalStateError as error:
                said.append(error.code)

    threads = [threading.Thread(target=answer, args=(f"p{at}",)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said)[1:] == ["proposal-state"] * 5 or said.count("proposal-state") == 5
    (approved,) = approvals.answered(workspace)
    assert approved.who in said


def test_names_that_lead_nowhere_are_told_what_there_is(workspace: Workspace) -> None:
    with pytest.raises(ProposalMissingError, match="No proposal waits"):
        approvals.approve(workspace, None, who="ann")
    approvals.propose(workspace, RETRAIN)
    for name in ("P7", "7", "x", "P0", "P1 "):
        if name == "P1 ":
            assert approvals.approve(workspace, name, who="ann").label == "P1"
        else:
            with pytest.raises(ProposalMissingError, match="There is no proposal"):
                approvals.approve(workspace, name, who="ann")


# ---- carried out once ----


class Doing:
    """Does acts, is cut off at the given ones, and counts."""

    def __init__(self, *faults: BaseException) -> None:
        self.faults = list(faults)
        self.done: list[str] = []

    def __call__(self, workspace: Workspace, action: Action, why: str) -> str:
        self.done.append(why)
        if self.faults:
            raise self.faults.pop(0)
        return "done"


def test_an_approved_act_is_carried_out_once(workspace: Workspace) -> None:
    do = Doing()
    approvals.propose(workspace, RETRAIN)
    assert carry_out_answered(workspace, do) == ()
    approvals.approve(workspace, None, who="ann")
    (done,) = carry_out_answered(workspace, do)
    assert (done.state, done.says) == (ProposalState.DONE, "done")
    assert carry_out_answered(workspace, do) == ()
    assert do.done == ["P1, approved by ann: The model is worse than promised."]


def test_an_act_that_was_cut_off_is_gone_on_with(workspace: Workspace) -> None:
    do = Doing(KeyboardInterrupt(), StateUnreachableError("Away.", hint="Wait."))
    approvals.propose(workspace, RETRAIN)
    approvals.approve(workspace, None, who="ann")
    for fault in (KeyboardInterrupt, StateUnreachableError):
        with pytest.raises(fault):
            carry_out_answered(workspace, do)
        assert [one.state for one in approvals.answered(workspace)] == [ProposalState.BEGUN]
    assert len(carry_out_answered(workspace, do)) == 1
    assert approvals.answered(workspace) == ()


def test_an_act_that_cannot_be_done_says_so_and_is_over(workspace: Workspace) -> None:
    do = Doing(NoPreviousError("No earlier version held the office.", hint="Train one."))
    approvals.propose(workspace, ROLL_BACK)
    approvals.approve(workspace, None, who="ann")
    (done,) = carry_out_answered(workspace, do)
    assert done.says == "It failed [no-previous]: No earlier version held the office."
    assert carry_out_answered(workspace, do) == ()


def test_an_approved_act_keeps_quiet_times_and_a_freeze(office: Path, workspace: Workspace) -> None:
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(f'{text}\n[operations]\nquiet_days = ["2026-01-01"]\nretrains_per_month = 0\n')
    with open_workspace(office, actor="watch") as opened:
        quiet = clocked(opened, workspace.context.clock)
        approvals.propose(quiet, RETRAIN)
        approvals.approve(quiet, None, who="ann")
        do = Doing()
        assert carry_out_answered(quiet, do) == ()
        workspace.context.clock.advance(DAY)  # type: ignore[attr-defined]
        assert len(carry_out_answered(quiet, do)) == 1


def run(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, [*words, "--json", "--project", str(folder)])
    return done.exit_code, json.loads(done.stdout)["result"]


def test_the_commands_list_and_answer_and_carry_out(office: Path) -> None:
    assert run(office, "approvals") == (0, {"proposals": []})
    extra = small_world(300, seed=8).with_columns(customer=pl.concat_str(pl.lit("n"), "customer"))
    extra.write_csv(office / "data" / "second.csv")
    with open_workspace(office, actor="watch") as workspace:
        asked = replace(RETRAIN, made_from=(workspace.context.artifacts.put_record(examine(workspace)),))
        approvals.propose(workspace, asked)
        code, result = run(office, "approvals")
        assert (code, result["proposals"][0]["id"], result["proposals"][0]["state"]) == (7, "P1", "waiting")
        assert run(office, "decline", "P1")[1]["error"]["code"] == "config-invalid"
        with Lease(workspace.database, "watch", clock=workspace.context.clock):
            code, result = run(office, "approve", "P1")
        assert (code, result["proposal"]["state"]) == (0, "approved")
        (done,) = carry_out_approved(workspace)
        assert done.says.split("Run ")[1].split(": ")[1] in ("promote", "hold", "reject")
        assert carry_out_approved(workspace) == ()
        assert len(workspace.ledger.runs()) == 2
        approvals.propose(workspace, replace(asked, cause=cause(since="w2")))
        assert run(office, "decline", "--why", "no")[1]["proposal"]["state"] == "declined"
        assert run(office, "approve", "P2")[1]["error"]["code"] == "proposal-state"
        assert [one["state"] for one in run(office, "approvals", "--all")[1]["proposals"]] == ["done", "declined"]


def test_a_freeze_is_made_shown_and_ended(office: Path) -> None:
    assert run(office, "freeze", "--until", "2001-01-01")[1]["error"]["message"] == "2001-01-01 is over."
    assert run(office, "freeze", "--until", "soon")[0] == 2
    code, result = run(office, "freeze", "--until", "2999-12-24", "--why", "year's end", "--everything")
    assert (code, result["frozen"]["until"], result["frozen"]["everything"]) == (0, "2999-12-24T00:00:00+00:00", True)
    assert run(office, "status")[1]["frozen"]["why"] == "year's end"
    assert run(office, "unfreeze")[1]["ended"]["why"] == "year's end"
    assert run(office, "unfreeze")[1] == {"ended": None}
    assert run(office, "status")[1]["frozen"] is None


# ---- messages ----


def with_alerts(office: Path, alerts: str, url: str = "https://models.shop.example/t/") -> None:
    text = (office / "tenure.toml").read_text()
    (office / "tenure.toml").write_text(f'{text}\n[operations]\napproval_url = "{url}"\n[alerts]\n{alerts}\n')


def test_a_message_brings_a_link_whose_secret_is_kept_nowhere(office: Path, clock: Any) -> None:
    with webhook(503, 200) as hook:
        with_alerts(office, f'webhook = "{hook.url}"')
        with open_workspace(office, actor="watch") as opened:
            workspace = clocked(opened, clock)
            approvals.propose(workspace, RETRAIN)
            approvals.propose(workspace, RETRAIN)
            assert [one.way for one in deliver(workspace, chance=lambda: 0.5)] == [Way.LATER]
            clock.advance(60)
            assert [one.way for one in deliver(workspace, chance=lambda: 0.5)] == [Way.SENT]
            tries = [json.loads(call.body) for call in hook.calls]
            urls = [event["data"]["approve_url"] for event in tries]
            secrets = [url.removeprefix("https://models.shop.example/t/approvals/") for url in urls]
            assert len(set(secrets)) == 2
            hashes = [event.data["hash"] for event in workspace.ledger.events(kind=LINK_EVENT)]
            assert hashes == [hashlib.sha256(secret.encode()).hexdigest() for secret in secrets]
            assert [approvals.proposals_of(workspace).linked(secret)[0].label for secret in secrets] == ["P1", "P1"]
            workspace.ledger.verify()
    assert tries[0]["type"] == "io.tenure.act.proposed"
    assert tries[0]["data"]["proposal"]["approve"] == "tenure approve P1"
    kept = b"".join(path.read_bytes() for path in (office / ".tenure").rglob("*") if path.is_file())
    assert not [secret for secret in secrets if secret.encode() in kept]


def test_people_are_not_asked_what_was_answered_meanwhile(office: Path, clock: Any) -> None:
    with webhook(200) as hook:
        with_alerts(office, f'webhook = "{hook.url}"')
        with open_workspace(office, actor="watch") as opened:
            workspace = clocked(opened, clock)
            approvals.propose(workspace, RETRAIN)
            approvals.decline(workspace, None, who="ann", why="no")
            (delivery,) = deliver(workspace)
            assert delivery.said == "not sent: P1 waits no more"
            outbox = Outbox(workspace.database, workspace.ledger, clock)
            assert [message.status for message in outbox.all()] == ["sent"]
        assert hook.calls == []


def test_a_mail_says_what_is_asked_and_how_to_answer(office: Path) -> None:
    with mail_server() as post:
        with_alerts(office, f'email_to = ["ann@shop.example"]\nsmtp = "smtp://127.0.0.1:{post.port}"')
        with open_workspace(office, actor="watch") as workspace:
            approvals.propose(workspace, replace(RETRAIN, reason="Worse <b>by far</b>."))
            assert [one.way for one in deliver(workspace)] == [Way.SENT]
    (email,) = post.mails
    assert email["Subject"] == "[churn] P1 to retrain waits for your answer"
    plain, html = (email.get_body((kind,)).get_content() for kind in ("plain", "html"))
    link = next(line.split()[-1] for line in plain.splitlines() if "answer:" in line)
    assert link.startswith("https://models.shop.example/t/approvals/")
    assert link in html
    assert "tenure approve P1" in plain
    assert "Worse &lt;b&gt;by far&lt;/b&gt;." in html
