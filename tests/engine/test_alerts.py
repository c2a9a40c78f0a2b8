"""Alerts reach people over real connections: signed, once, again where that fails, and without showing a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from listeners import Call, Hook, mail_server, webhook

from small_worlds import SMALL_PROJECT
from tenure.core.alarms import Manners, Severity, Sighting, Symptom
from tenure.core.project import parse_project
from tenure.engine.alerts.answer import Way
from tenure.engine.alerts.bulletin import Bulletin
from tenure.engine.alerts.channels import channels_of
from tenure.engine.alerts.delivery import Delivery, deliver, try_channels
from tenure.engine.alerts.mail import MailServer
from tenure.engine.alerts.webhook import Webhook, cloud_event, signature
from tenure.engine.workspace import Workspace, open_workspace
from tenure.state.alarms import Alarms
from tenure.state.ledger import Ledger
from tenure.state.outbox import MESSAGE_LOST_EVENT, Outbox

SECRET = "whsec_" + base64.b64encode(b"a key of 24 bytes or more").decode()
PASSWORD = "p@ss:w/ord#1"
DAY = 86_400
FOR_ALL = Manners(notices=False, repeat_us=DAY * 10**6, cool_us=DAY * 10**6)

Open = Callable[[str], Workspace]


class Noted:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, share: float, text: str = "") -> None:
        """Pass over."""


@pytest.fixture
def opened(tmp_path: Path, clock: Any) -> Iterator[Open]:
    """Return a function that opens the project with an [alerts] section, on the clock that tests move."""
    made: list[Workspace] = []

    def opening(alerts: str) -> Workspace:
        (tmp_path / "tenure.toml").write_text(f"{SMALL_PROJECT}\n[alerts]\n{alerts}\n")
        workspace = open_workspace(tmp_path, log=Noted())
        context = replace(workspace.context, clock=clock)
        made.append(replace(workspace, context=context, ledger=Ledger(workspace.database, clock)))
        return made[-1]

    yield opening
    for workspace in made:
        workspace.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for localhost that nobody trusts but who is told to, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
    extension = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", *words.split(), *extension, "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("SMTP_PASSWORD", PASSWORD)


def alarm(workspace: Workspace, *columns: str, window: str = "w1", kind: str = "feed") -> None:
    """Plant a look that found these columns empty."""
    says = "{0!r} is empty in 40% of rows;\n<b>0%</b> was normal."
    symptoms = tuple(
        Symptom(
            name,
            Severity.PAGE,
            says.format(name),
            "Ask who delivers it.",
            "2025-12-25T00:00:00+00:00",
            "3.1% of the skill",
        )
        for name in columns
    )
    Alarms(workspace.database, workspace.ledger, workspace.context.clock).observe(
        [Sighting(kind, "The rows that come in are broken.", None, window, symptoms)],
        version=7,
        health=lambda: "d1",
        manners=FOR_ALL,
        addresses=[channel.address for channel in channels_of(workspace.project)],
        actor="watch",
    )


def sent(workspace: Workspace) -> list[tuple[Way, str]]:
    return [(one.way, one.said) for one in deliver(workspace, chance=lambda: 0.5)]


def verified(call: Call) -> dict[str, Any]:
    """Check a call as the specification tells receivers to, and return the event in it."""
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert call.headers["webhook-signature"] == f"v1,{expected}"
    event: dict[str, Any] = json.loads(call.body)
    assert event["id"] == call.headers["webhook-id"]
    return event


# ---- webhooks ----


def test_a_webhook_gets_a_signed_cloud_event(opened: Open, clock: Any) -> None:
    with webhook() as hook:
        workspace = opened(f'webhook = "{hook.url}"\nwebhook_secret = "${{HOOK_SECRET}}"')
        alarm(workspace, "age", "plan")
        assert sent(workspace) == [(Way.SENT, "204 No Content")]
        assert sent(workspace) == []
    (call,) = hook.calls
    event = verified(call)
    assert call.headers["content-type"].startswith("application/cloudevents+json")
    assert call.headers["webhook-timestamp"] == str(int(clock().timestamp()))
    assert {key: event[key] for key in ("specversion", "source", "type", "subject", "time", "datacontenttype")} == {
        "specversion": "1.0",
        "source": "/projects/churn",
        "type": "io.tenure.data.violation",
        "subject": "churn/versions/7",
        "time": clock().isoformat(),
        "datacontenttype": "application/json",
    }
    (told,) = event["data"]["alarms"]
    assert (told["id"], told["change"], told["status"]) == ("A1", "opened", "open")
    assert told["acknowledge"] == 'tenure alarms ack A1 --why "I look into it"'
    assert [symptom["name"] for symptom in told["symptoms"]] == ["age", "plan"]


def test_the_signature_is_that_of_the_specification() -> None:
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    made = signature(secret, message, 1_614_265_330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    for odd in ("whsec_not base64", "any text", "ü"):
        assert signature(odd, message, 1, b"").startswith("v1,")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("feed", "io.tenure.data.violation"),
        ("drift", "io.tenure.drift.detected"),
        ("estimate", "io.tenure.performance.estimated"),
        ("performance", "io.tenure.performance.realized"),
        ("check", "io.tenure.check.broken"),
    ],
)
def test_the_type_of_an_event_is_that_of_its_first_alarm(kind: str, type_: str) -> None:
    told = {"id": "A1", "kind": kind, "change": "opened", "headline": ""}
    ended = told | {"change": "resolved"}
    assert cloud_event(Bulletin("m", "a b", "t", 1, (told, ended)))["type"] == type_
    assert cloud_event(Bulletin("m", "a b", "t", 1, (ended,)))["type"] == "io.tenure.alarm.resolved"
    assert cloud_event(Bulletin("m", "a b", "t", None, ()))["subject"] == "a b"
    assert cloud_event(Bulletin("m", "a b", "t", None, ()))["source"] == "/projects/a%20b"


def test_what_fails_is_sent_again_with_the_same_id_after_waits_that_double(opened: Open, clock: Any) -> None:
    with webhook(503, 429, 408, 200) as hook:
        workspace = opened(f'webhook = ["{hook.url}"]\nwebhook_secret = "${{HOOK_SECRET}}"')
        alarm(workspace, "age")
        assert sent(workspace) == [(Way.LATER, "503 Service Unavailable")]
        for seconds, said in ((30, (Way.LATER, "429 Too Many Requests")), (60, (Way.LATER, "408 Request Timeout"))):
            clock.advance(seconds - 1)
            assert sent(workspace) == []
            clock.advance(1)
            assert sent(workspace) == [said]
        clock.advance(120)
        assert sent(workspace) == [(Way.SENT, "200 OK")]
    assert len({call.headers["webhook-id"] for call in hook.calls}) == 1
    assert len({call.body for call in hook.calls}) == 1
    assert len({call.headers["webhook-signature"] for call in hook.calls}) == 4
    for call in hook.calls:
        verified(call)


@pytest.mark.parametrize("code", [400, 401, 404, 410, 301, 307])
def test_a_refusal_for_good_and_a_redirect_are_final_and_in_the_ledger(opened: Open, clock: Any, code: int) -> None:
    with webhook(code) as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        ((way, said),) = sent(workspace)
        clock.advance(DAY)
        assert sent(workspace) == []
    assert (way, said[:3]) == (Way.NEVER, str(code))
    assert len(hook.calls) == 1
    assert "webhook-signature" not in hook.calls[0].headers
    (event,) = workspace.ledger.events(kind=MESSAGE_LOST_EVENT)
    assert "http://localhost/..." in event.reason


def test_what_does_not_go_through_within_a_day_is_given_up_and_the_ledger_says_so(opened: Open, clock: Any) -> None:
    with webhook(500) as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        ways = []
        while Way.NEVER not in ways:
            ways += [way for way, _ in sent(workspace)]
            clock.advance(3600)
    assert 20 <= len(ways) <= 30
    (event,) = workspace.ledger.events(kind=MESSAGE_LOST_EVENT)
    assert event.data["tries"] == len(hook.calls) == len(ways)
    workspace.ledger.verify()


def test_a_message_that_is_old_before_it_is_tried_is_still_tried_five_times(opened: Open, clock: Any) -> None:
    with webhook(500) as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        clock.advance(3 * DAY)
        ways = []
        for _ in range(6):
            ways += [way for way, _ in sent(workspace)]
            clock.advance(3600)
    assert ways == [Way.LATER] * 4 + [Way.NEVER]
    assert len(hook.calls) == 5


def test_who_does_not_answer_at_all_is_called_again() -> None:
    with webhook() as hook:
        hook.wait.clear()
        called = Webhook(hook.url, None, patience_seconds=0.2)
        answer = called.send(Bulletin("m", "churn", "t", 1, ()), now=0.0)
    assert (answer.way, answer.said) == (Way.LATER, "it did not answer in time")
    answer = called.send(Bulletin("m", "churn", "t", 1, ()), now=0.0)
    assert (answer.way, answer.said) == (Way.LATER, "Connection refused")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://localhost/x", "http://localhost:S3CRET/", "x", "http://a b/"]
)
def test_a_url_that_cannot_be_called_is_refused_without_showing_it(url: str) -> None:
    answer = Webhook(url, None).send(Bulletin("m", "churn", "t", 1, ()), now=0.0)
    assert answer.way is Way.LATER
    assert "S3CRET" not in answer.said + answer.detail


def test_a_certificate_that_nobody_vouches_for_is_told_nothing(opened: Open, tls: ssl.SSLContext) -> None:
    with webhook(tls=tls) as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        ((way, said),) = sent(workspace)
    assert (way, said[:29]) == (Way.LATER, "its certificate is not truste")
    assert hook.calls == []


def test_https_with_a_good_certificate_goes_through(opened: Open, tls: ssl.SSLContext, trusted: None) -> None:
    with webhook(tls=tls) as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        assert sent(workspace) == [(Way.SENT, "204 No Content")]
    assert len(hook.calls) == 1


# ---- e-mail ----


def test_an_e_mail_goes_over_starttls_with_text_and_html(opened: Open, tls: ssl.SSLContext, trusted: None) -> None:
    with mail_server(starttls=tls) as post:
        smtp = f"smtp://ops@shop.example:${{SMTP_PASSWORD}}@localhost:{post.port}".replace("ops@", "ops%40")
        workspace = opened(
            f'email_to = ["ann@shop.example", "bob@shop.example"]\nsmtp = "{smtp}"\nemail_from = "t@shop.example"'
        )
        alarm(workspace, "age", "plan")
        ((way, said),) = sent(workspace)
    assert (way, said) == (Way.SENT, "accepted for 2 of 2")
    assert post.logins == [("ops@shop.example", PASSWORD, True)]
    assert post.to == [["ann@shop.example", "bob@shop.example"]]
    (mail,) = post.mails
    assert mail["Subject"] == (
        "[churn] A1 The rows that come in are broken. "
        "'age' is empty in 40% of rows; <b>0%</b> was normal. 1 more: plan."
    )
    assert (mail["From"], mail["Auto-Submitted"]) == ("t@shop.example", "auto-generated")
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    for shown in ("2025-12-25", "3.1% of the skill", "Ask who delivers it.", "tenure alarms ack A1"):
        assert shown in text.get_content()
        assert shown in page.get_content()
    assert "&lt;b&gt;" in page.get_content()


def test_an_e_mail_goes_over_tls_from_the_start(opened: Open, tls: ssl.SSLContext, trusted: None) -> None:
    with mail_server(tls=tls) as post:
        workspace = opened(
            f'email_to = "ann@shop.example"\nsmtp = "smtps://ops:${{SMTP_PASSWORD}}@localhost:{post.port}"'
        )
        alarm(workspace, "age")
        assert sent(workspace) == [(Way.SENT, "accepted for 1 of 1")]
    assert post.logins == [("ops", PASSWORD, True)]
    assert post.mails[0]["From"] == "tenure@localhost"


def test_no_password_goes_out_in_the_clear(opened: Open) -> None:
    with mail_server() as post:
        workspace = opened(
            f'email_to = "ann@shop.example"\nsmtp = "smtp://ops:${{SMTP_PASSWORD}}@localhost:{post.port}"'
        )
        alarm(workspace, "age")
        assert sent(workspace) == [(Way.LATER, "the mail server offers no STARTTLS or no login")]
    assert (post.logins, post.mails) == ([], [])


@pytest.mark.parametrize(("host", "near"), [("localhost", True), ("127.0.0.2", True), ("::1", True), ("mail", False)])
def test_only_a_mail_server_on_this_machine_is_spoken_to_in_the_clear(host: str, near: bool) -> None:
    assert MailServer(host, 25, tls_first=False).is_near is near


@pytest.mark.parametrize(
    ("refusals", "way", "says"),
    [
        ({"RCPT": b"550 nobody here"}, Way.NEVER, "550"),
        ({"RCPT": b"450 full"}, Way.LATER, "450"),
        ({"DATA": b"554 spam"}, Way.NEVER, "554"),
        ({"MAIL": b"451 later"}, Way.LATER, "451"),
        ({"RCPT TO:<ANN": b"550 nobody here"}, Way.SENT, "accepted for 1 of 2; refused for ann@shop.example"),
    ],
)
def test_what_a_mail_server_refuses_for_now_is_tried_again(
    opened: Open, refusals: dict[str, bytes], way: Way, says: str
) -> None:
    with mail_server(refusals=refusals) as post:
        workspace = opened(
            f'email_to = ["ann@shop.example", "bob@shop.example"]\nsmtp = "smtp://127.0.0.1:{post.port}"'
        )
        alarm(workspace, "age")
        ((found, said),) = sent(workspace)
    assert found is way
    assert says in said


def test_a_mail_server_that_nobody_runs_or_trusts_is_tried_again(opened: Open, tls: ssl.SSLContext) -> None:
    with mail_server(tls=tls) as post:
        workspace = opened(f'email_to = "ann@shop.example"\nsmtp = "smtps://localhost:{post.port}"')
        alarm(workspace, "age")
        ((way, said),) = sent(workspace)
        assert (way, "not trusted" in said) == (Way.LATER, True)
    workspace = opened(f'email_to = "ann@shop.example"\nsmtp = "smtps://localhost:{post.port}"')
    assert [(answer.way, answer.said) for _, answer in try_channels(workspace)] == [(Way.LATER, "Connection refused")]
    workspace = opened(f'email_to = "ann@shop.example"\nsmtp = "smtp://{"a" * 70}.example"')
    assert [answer.way for _, answer in try_channels(workspace)] == [Way.LATER]


def test_a_test_message_goes_through_every_channel_at_once(opened: Open) -> None:
    with webhook() as hook, mail_server() as post:
        workspace = opened(
            f'webhook = "{hook.url}"\nwebhook_secret = "${{HOOK_SECRET}}"\n'
            f'email_to = "ann@shop.example"\nsmtp = "smtp://localhost:{post.port}"'
        )
        assert [(answer.way, answer.said) for _, answer in try_channels(workspace)] == [
            (Way.SENT, "204 No Content"),
            (Way.SENT, "accepted for 1 of 1"),
        ]
    assert verified(hook.calls[0])["type"] == "io.tenure.alarm.test"
    assert post.mails[0]["Subject"] == "[churn] This is a test. Alarms will come this way."
    assert workspace.ledger.events() == []


# ---- one message, whoever sends and whoever dies ----


def test_two_senders_at_once_send_each_message_once(opened: Open) -> None:
    with webhook() as hook:
        alerts = f'webhook = ["{hook.url}", "{hook.url}/2"]'
        first = opened(alerts)
        for kind in ("feed", "traffic", "drift", "performance", "check"):
            alarm(first, "age", kind=kind)
        done: list[Delivery] = []
        others = [opened(alerts) for _ in range(3)]
        senders = [threading.Thread(target=lambda at=at: done.extend(deliver(others[at]))) for at in range(3)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert {one.way for one in done} == {Way.SENT}
    assert len(done) == len(hook.calls) == len({call.headers["webhook-id"] for call in hook.calls}) == 10


SENDING = """
import sys
from pathlib import Path
from tenure.engine.alerts.delivery import deliver
from tenure.engine.workspace import open_workspace
with open_workspace(Path(sys.argv[1])) as workspace:
    print("ready", flush=True)
    deliver(workspace)
"""


def test_a_message_whose_sender_was_killed_goes_out_later_with_the_same_id(
    opened: Open, tmp_path: Path, clock: Any
) -> None:
    with webhook() as hook:
        workspace = opened(f'webhook = "{hook.url}"')
        alarm(workspace, "age")
        hook.wait.clear()
        sender = subprocess.Popen([sys.executable, "-c", SENDING, str(tmp_path)], stdout=subprocess.PIPE)
        assert _came(hook)
        sender.send_signal(signal.SIGKILL)
        sender.communicate()
        hook.wait.set()
        due = max(message.next_us for message in Outbox(workspace.database, workspace.ledger, clock).all())
        clock.advance(due / 1e6 - clock().timestamp() - 1)
        assert sent(workspace) == []
        clock.advance(2)
        assert sent(workspace) == [(Way.SENT, "204 No Content")]
    assert len({call.headers["webhook-id"] for call in hook.calls}) == 1
    assert len(hook.calls) == 2


def _came(hook: Hook) -> bool:
    end = time.monotonic() + 20
    while not hook.calls and time.monotonic() < end:
        time.sleep(0.01)
    return bool(hook.calls)


def test_one_dead_channel_keeps_no_other_from_being_told(opened: Open) -> None:
    with webhook(500) as dead, webhook() as hook:
        workspace = opened(f'webhook = ["{dead.url}", "{hook.url}"]')
        alarm(workspace, "age")
        assert sorted(way for way, _ in sent(workspace)) == [Way.LATER, Way.SENT]
    assert len(hook.calls) == 1


def test_messages_to_what_the_project_file_names_no_more_are_given_up(opened: Open) -> None:
    alarm(opened('webhook = "http://localhost:9/x"'), "age")
    workspace = opened("notices = true")
    assert sent(workspace) == [(Way.NEVER, "the project file does not name it any more")]


# ---- secrets ----


def test_a_secret_that_is_not_set_is_waited_for(opened: Open, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as hook:
        workspace = opened('webhook = "${HOOK_URL}"')
        alarm(workspace, "age")
        assert sent(workspace) == [(Way.LATER, "The environment variable HOOK_URL is not set.")]
        monkeypatch.setenv("HOOK_URL", f"{hook.url}\n")
        clock.advance(30)
        assert sent(workspace) == [(Way.SENT, "204 No Content")]


def test_no_secret_is_shown_or_kept_anywhere(
    opened: Open, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, trusted: None
) -> None:
    echo = b"Cannot POST /in/T0KEN-in-the-path"
    refused = {"AUTH": b"535 no: " + PASSWORD.encode()}
    with webhook(500, 404, body=echo) as hook, mail_server(starttls=tls, refusals=refused) as post:
        monkeypatch.setenv("HOOK_URL", hook.url)
        workspace = opened(
            'webhook = "${HOOK_URL}"\nwebhook_secret = "${HOOK_SECRET}"\nemail_to = "ann@shop.example"\n'
            f'smtp = "smtp://ops:${{SMTP_PASSWORD}}@localhost:{post.port}"'
        )
        alarm(workspace, "age")
        ways = sent(workspace)
        clock.advance(60)
        ways += sent(workspace)
        tried = try_channels(workspace)
    assert [way for way, _ in ways].count(Way.NEVER) == 1
    assert len(workspace.ledger.events(kind=MESSAGE_LOST_EVENT)) == 1
    log = workspace.context.log
    assert isinstance(log, Noted)
    assert len(log.lines) == 4
    shown = repr((log.lines, ways, tried, channels_of(workspace.project), workspace.project))
    kept = b"".join(path.read_bytes() for path in (tmp_path / ".tenure").rglob("*") if path.is_file())
    for secret in ("T0KEN", SECRET, PASSWORD):
        assert secret not in shown
        assert secret.encode() not in kept


def test_a_plain_url_is_shown_without_its_path() -> None:
    project = parse_project(f'{SMALL_PROJECT}\n[alerts]\nwebhook = "https://hooks.example:8443/T0KEN?k=T0KEN"')
    assert [channel.label for channel in channels_of(project)] == ["https://hooks.example/..."]
