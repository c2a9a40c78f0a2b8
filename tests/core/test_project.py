from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.errors import ConfigError, ProjectMissingError, SecretMissingError
from tenure.core.project import PROJECT_FILE, Project, editor_schema, load_project, parse_project
from tenure.core.secrets import redacted, with_secrets
from tenure.core.section import seconds_of

MINIMAL = """
[project]
name = "churn"
task = "binary"
[data]
source = "customers.parquet"
target = "left"
"""


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_project(text)
    return caught.value


# ---- reading ----


def test_minimal_project_has_sensible_defaults() -> None:
    project = parse_project(MINIMAL)
    assert (project.training.budget, project.operations.autonomy, project.state.url) == (60.0, "propose", None)
    assert project.monitoring.window_seconds == 7 * 86_400
    assert project.monitoring.window_rows is None


def test_project_is_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_text(MINIMAL)
    assert load_project(tmp_path) == parse_project(MINIMAL)


def test_missing_project_file_says_how_to_write_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent", Path(__file__)):
        with pytest.raises(ProjectMissingError) as caught:
            load_project(folder)
        assert "tenure init" in caught.value.hint


def test_file_that_is_not_text_or_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_project(tmp_path)
    assert "not valid TOML" in refused("[project").message


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        (MINIMAL + "[trainning]\nbudget = '60s'", "trainning", "training"),
        (MINIMAL + "[training]\nbugdet = '60s'", "training.bugdet", "budget"),
        (MINIMAL + "[data.columns.age]\nkinds = 'text'", "data.columns.age.kinds", "kind"),
        (MINIMAL.replace("target =", "targt ="), "data.targt", "target"),
    ],
)
def test_unknown_key_is_named_and_the_nearest_known_one_suggested(text: str, key: str, suggestion: str) -> None:
    error = refused(text)
    if "missing" not in error.message:
        assert repr(key) in error.message
        assert error.hint == f"Did you mean {suggestion!r}?"
    else:
        assert suggestion in error.hint
    assert error.exit_code == 2


def test_missing_key_says_where_to_add_it() -> None:
    error = refused(MINIMAL.replace('target = "left"', ""))
    assert (error.message, error.hint) == ("The key 'data.target' is missing.", "Add data.target to the project file.")


@pytest.mark.parametrize(
    "section",
    [
        "[training]\nbudget = 'soon'",
        "[training]\nbudget = 0",
        "[training]\nbudget = inf",
        "[training]\nbudget = nan",
        "[training]\nseed = -1",
        "[validation]\nfolds = 1",
        "[monitoring]\nwindow = 'weekly'",
        "[monitoring]\nwindow = '0 rows'",
        "[monitoring]\nwindow = '0d'",
        "[operations]\nautonomy = 'yes'",
        "[value]\ntrue_positive = nan",
        "[value]\ntrue_positive = inf",
        "[value]\ntrue_positive = 10.0\nfalse_positive = 5.0",
        "[promotion]\nmin_gain = -0.1",
        "[serving]\nport = 70000",
        "[serving]\nworkers = 0",
        "[serving]\ntimeout = '0s'",
        "[serving]\nmax_concurrency = 0",
        "[serving]\nbad_fields = 'drop'",
        "[serving]\nlog = 'never'",
        "[serving]\nlog_backlog_mb = 0",
        "[serving]\nshadow = 1.5",
        "[serving]\nshadow_cpu = 0",
        "[serving]\ncanary = -0.1",
        "[serving]\nreasons = 21",
        "[quality]\nmax_quarantine_share = 1.5",
    ],
)
def test_value_that_cannot_be_used_is_refused_with_its_place(section: str) -> None:
    error = refused(f"{MINIMAL}\n{section}")
    assert error.where is not None
    assert section[1:].partition("]")[0] in error.where


@pytest.mark.parametrize("delay", ["-5", "inf"])
def test_outcome_delay_is_a_finite_time_forward(delay: str) -> None:
    assert "data.outcome_delay" in str(refused(f"{MINIMAL}outcome_delay = {delay}").where)


def test_a_policy_for_bad_fields_says_nothing_about_learning() -> None:
    data = parse_project(f"{MINIMAL}[data.columns.age]\nbad = 'quarantine'").data
    assert data.columns["age"].bad == "quarantine"
    assert data.described == {}


# ---- values and identity ----


def test_break_even_is_where_acting_starts_to_pay() -> None:
    value = parse_project(f"{MINIMAL}[value]\ntrue_positive = 40.0\nfalse_positive = -5.0").value
    p = value.break_even
    assert value.is_given
    assert p * 40 + (1 - p) * -5 == pytest.approx(0)
    assert not parse_project(MINIMAL).value.is_given


def test_digest_follows_the_named_sections_only() -> None:
    before, after = parse_project(MINIMAL), parse_project(f"{MINIMAL}[serving]\nmax_latency_ms = 9.0")
    assert before.digest("data", "training") == after.digest("data", "training")
    assert before.digest("serving") != after.digest("serving")
    assert before.digest() != after.digest()


@pytest.mark.parametrize(
    "more",
    [
        "[serving]\nport = 9000\nworkers = 4\ntimeout = '5s'\nbad_fields = 'strict'\nshadow = 0.1\ncanary = 0.1",
        "[data.columns.age]\nbad = 'strict'",
    ],
)
def test_how_requests_are_answered_trains_nothing_again(more: str) -> None:
    assert parse_project(MINIMAL + more).digest() == parse_project(MINIMAL).digest()


def test_a_policy_beside_a_kind_leaves_the_kind_in_the_digest() -> None:
    said = parse_project(f"{MINIMAL}[data.columns.age]\nkind = 'numeric'")
    both = parse_project(f"{MINIMAL}[data.columns.age]\nkind = 'numeric'\nbad = 'strict'")
    assert said.digest() == both.digest() != parse_project(MINIMAL).digest()
    assert set(both.data.described) == {"age"}


def test_digest_does_not_know_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MINIMAL.replace("customers.parquet", "postgresql://u:${PASSWORD}@h/db")
    monkeypatch.setenv("PASSWORD", "one")
    first = parse_project(text).digest()
    monkeypatch.setenv("PASSWORD", "two")
    assert parse_project(text).digest() == first


def test_editor_schema_describes_every_section() -> None:
    schema = editor_schema()
    assert set(schema["properties"]) == set(Project.model_fields)
    assert schema["additionalProperties"] is False


# ---- durations ----


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("30 min", 1800), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), (5, 5.0)],
)
def test_durations_are_read_with_their_unit(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "s", "1 month", "-5s", "5 s s", "1e3s", "七d"])
def test_text_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of(text)


def test_window_is_counted_in_rows_or_in_time() -> None:
    monitoring = parse_project(f"{MINIMAL}[monitoring]\nwindow = '500 rows'").monitoring
    assert (monitoring.window_rows, monitoring.window_seconds) == (500, None)


# ---- secrets ----


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL.replace('"left"', '"${NAME}"'),
        MINIMAL + "query = 'SELECT ${NAME}'",
        MINIMAL + "[training]\nfamilies = ['${NAME}']",
        MINIMAL + "[serving]\nhost = '${NAME}'",
    ],
)
def test_secret_out_of_place_is_refused(text: str) -> None:
    assert "for secrets only" in refused(text).message


def test_secrets_may_stand_in_source_and_state_url() -> None:
    url = "postgresql://u:${PASSWORD}@h/db"
    project = parse_project(MINIMAL.replace("customers.parquet", url) + f"[state]\nurl = '{url}'")
    assert (project.data.source, project.state.url) == (url, url)


def test_secret_comes_from_the_environment_or_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENURE_TEST_SECRET", "p$1\\g<0>")
    url = with_secrets("postgresql://u:${TENURE_TEST_SECRET}@h/db", where="state.url")
    assert url == "postgresql://u:p$1\\g<0>@h/db"
    with pytest.raises(SecretMissingError, match="TENURE_TEST_ABSENT") as caught:
        with_secrets("${TENURE_TEST_ABSENT}", where="state.url")
    assert caught.value.where == "state.url"


PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=4).map(lambda text: f"<{text}>")


@given(
    password=PASSWORDS,
    scheme=st.sampled_from(["postgresql", "postgresql+psycopg", "POSTGRESQL", "s3", "https"]),
    user=st.sampled_from(["ada", "", "ada@corp"]),
    frame=st.sampled_from(["{}", "source {} is away", "'{}'", "a\n{}\nb"]),
)
def test_redaction_never_shows_a_password(password: str, scheme: str, user: str, frame: str) -> None:
    shown = redacted(frame.format(f"{scheme}://{user}:{password}@host/db"))
    assert password not in shown
    assert password[:-1] not in shown
    assert password[1:] not in shown
    assert ":***@host/db" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/db and mysql://v:q@i/db", "postgresql://u:***@h/db and mysql://v:***@i/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        (
            "postgresql://h/db?user=u&password=p%40ss&sslmode=require",
            "postgresql://h/db?user=u&password=***&sslmode=require",
        ),
        ("data/customers.parquet", "data/customers.parquet"),
        ("postgresql://u:my secret@h/db", "postgresql://u:***@h/db"),
    ],
)
def test_redaction_leaves_the_rest_readable(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


def test_refused_value_is_shown_without_its_password() -> None:
    error = refused(f"{MINIMAL}[state]\nurl = ['postgresql://u:hunter2@h/db']")
    assert "hunter2" not in f"{error.as_dict()}"
