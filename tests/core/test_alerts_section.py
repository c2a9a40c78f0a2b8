"""`[alerts]`: what can be sent is told as the file is read, and no value that may be a secret is shown."""

from __future__ import annotations

import pytest

from small_worlds import SMALL_PROJECT
from tenure.core.errors import ConfigError
from tenure.core.project import Project, parse_project


def read(alerts: str) -> Project:
    return parse_project(f"{SMALL_PROJECT}\n[alerts]\n{alerts}")


def test_one_text_or_a_list_says_whom_to_tell() -> None:
    alerts = read('webhook = "${HOOK}"\nemail_to = "a@shop.example"\nsmtp = "smtp://localhost"').alerts
    assert (alerts.webhooks, alerts.mailboxes) == (("${HOOK}",), ("a@shop.example",))
    assert read('webhook = ["${HOOK}", "https://hooks.example/x"]').alerts.webhooks[1] == "https://hooks.example/x"
    assert parse_project(SMALL_PROJECT).alerts.webhooks == ()


def test_whom_to_tell_trains_nothing_again() -> None:
    before = parse_project(SMALL_PROJECT)
    after = read('webhook = "${HOOK}"\nwebhook_secret = "${SECRET}"\nnotices = true\nrepeat_after = "2h"')
    assert before.digest() == after.digest()


@pytest.mark.parametrize(
    ("alerts", "says"),
    [
        ('webhook = "ftp://host/T0KEN"', "begins with https://"),
        ('webhook = ["https:///T0KEN"]', "begins with https://"),
        ("webhook = 7", "valid string"),
        ('webhook_secret = "T0KEN"', "comes from the environment"),
        ('smtp = "smtps://ops:T0KEN@host"', "the password of smtp comes from the environment"),
        ('smtp = "smtps://ops:T0@KEN@host:x"', "smtp is"),
        ('smtp = "imap://host"', "smtp is"),
        ('email_to = "a@shop.example"', "needs a mail server"),
        ('email_to = "a b"\nsmtp = "smtp://localhost"', "is not an address"),
        ('email_to = "a@b.c\\nBcc: d@e.f"\nsmtp = "smtp://localhost"', "is not an address"),
        ('email_from = "a@b,c@d"', "is not an address"),
        ('repeat_after = "1s"', "greater than"),
        ('email_to = "${WHO}"', "for secrets only"),
    ],
)
def test_what_cannot_be_sent_is_refused_without_showing_a_secret(alerts: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(alerts)
    assert says in caught.value.message
    assert "T0" not in f"{caught.value.message}{caught.value.hint}{caught.value.where}"


def test_a_project_shows_no_address_that_may_be_a_secret() -> None:
    project = read('webhook = "https://hooks.example/T0KEN"\nsmtp = "smtps://ops:${T0KEN}@host"')
    assert "T0KEN" not in repr(project)
