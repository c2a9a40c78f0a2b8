"""The generated TypeScript client: compiled strictly and run by node against the real server; nothing gets into it."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from client_servers import Script, ScriptedServer, Served
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tenure.cli.app import app
from tenure.client import Client
from tenure.client.typescript import digest, typescript_client, typescript_files
from tenure.core.errors import ConfigError

HERE = Path(__file__).resolve().parent
GUIDE = HERE.parent.parent / "docs" / "how-to" / "call-from-typescript.md"
TYPESCRIPT = "7.0.2"
STRICT = {
    "strict": True,
    "noUnusedLocals": True,
    "noImplicitReturns": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "noPropertyAccessFromIndexSignature": True,
    "verbatimModuleSyntax": True,
    "erasableSyntaxOnly": True,
    "isolatedModules": True,
}


def _call(*words: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code, f"{done.stdout}\n{done.stderr}\n{done.exception!r}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="session")
def tsc() -> list[str]:
    """Return the command of the compiler, fetched once a machine; without node or the registry there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed, so the TypeScript client is not compiled")
    folder = Path(tempfile.gettempdir()) / f"tenure-tests-typescript-{TYPESCRIPT}"
    compiler = folder / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        fresh = tempfile.mkdtemp(prefix=f"{folder.name}-")
        words = [npm, "install", "--prefix", fresh, "--no-audit", "--no-fund", f"typescript@{TYPESCRIPT}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(fresh)
            pytest.skip(f"npm cannot fetch typescript {TYPESCRIPT}: {done.stderr.strip()}")
        with suppress(OSError):  # another session was first
            Path(fresh).rename(folder)
    return [node, str(compiler)]


def _compile(tsc: list[str], folder: Path) -> None:
    """Compile every module of a folder with the options of its tsconfig.json and the strictest ones."""
    tsconfig = json.loads((folder / "tsconfig.json").read_text())
    tsconfig["compilerOptions"] |= STRICT
    tsconfig["files"] = sorted(path.name for path in folder.glob("*.ts"))
    (folder / "tsconfig.json").write_text(json.dumps(tsconfig))
    done = subprocess.run([*tsc, "-p", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _node(*words: str | Path) -> str:
    done = subprocess.run(["node", *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _block(page: str, kind: str) -> str:
    return next(iter(re.findall(rf"^```{kind}\n(import .*?)^```", page, re.M | re.S)))


def test_a_front_end_engineer_can_use_it(
    served: Served, scripted: Callable[[Script], ScriptedServer], tsc: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "client"
    told = _call("client", "typescript", "--project", str(served.folder), "--out", str(folder))
    assert {Path(path).name for path in told["artifacts"]} == {
        "client.ts",
        "package.json",
        "tsconfig.json",
        "README.md",
    }
    shutil.copy(HERE / "scenario.ts", folder)
    (folder / "readme.ts").write_text(_block((folder / "README.md").read_text(), "ts"))
    (folder / "guide.ts").write_text(_block(GUIDE.read_text(), "text"))
    _compile(tsc, folder)
    closed = scripted([])
    closed.close()
    said = json.loads(_node(folder / "dist" / "scenario.js", served.url, served.token, closed.url))

    with Client(served.url, served.token) as client:
        row = {"customer": "of-node", "strong": 1.25, "plan": "max", "noise": None}
        assert said["probability"] == client.predict_one(row, id="node-0").probability
    assert said["version"] == "v1"
    assert said["ids"] == ["node-0", "node-1"]
    assert said["outcomes"] == {"joined": 1, "repeated": 0, "corrected": 0, "waiting": 0}
    assert said["health"] == "ok"
    assert set(said["required"]) == {"strong", "plan", "noise"}
    assert (said["lacking"]["status"], said["lacking"]["code"]) == (422, "schema-changed")
    assert "plan" in said["lacking"]["detail"]
    assert said["lacking"]["hint"]
    assert said["empty"]["fields"][0]["loc"][-1] == "rows"
    assert said["token"]["status"] == 401
    assert said["aborted"] == {"thrown": "AbortError"}
    assert said["abortedAmid"] == {"thrown": "RangeError"}
    assert "within 0 ms" in said["late"]["noAnswer"]
    assert said["nobody"]["sent"] is False
    assert {name: one["count"] for name, one in said["retries"].items()} == {
        "busy": 2,
        "long": 1,
        "lostWithoutIds": 1,
        "lostWithIds": 2,
        "proxyWithoutIds": 1,
        "proxyOutcomes": 2,
        "healthOnce": 1,
        "noJson": 1,
    }
    assert said["retries"]["lostWithoutIds"]["sent"] is True
    assert said["retries"]["proxyWithoutIds"]["code"] == "bad-gateway"
    assert said["retries"]["noJson"]["code"] == "answer-unusable"
    assert served.token not in said["shown"]


def test_the_client_of_a_running_server_is_that_of_its_folder(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_TOKEN", served.token)
    one, other = tmp_path / "one.ts", tmp_path / "deep" / "other.ts"
    told = _call("client", "typescript", "--url", served.url, "--out", str(one))
    _call("client", "typescript", "--project", str(served.folder), "--out", str(other))
    assert one.read_bytes() == other.read_bytes()
    assert told["result"]["document"] in one.read_text()
    assert set(tmp_path.iterdir()) == {one, other.parent}
    assert served.token not in one.read_text()


def test_a_server_that_refuses_or_is_away_is_told_as_such(
    served: Served, scripted: Callable[[Script], ScriptedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENURE_TOKEN", "wrong-secret")
    closed = scripted([])
    closed.close()
    words = ("client", "typescript", "--out", str(tmp_path / "client"), "--url")
    assert _call(*words, served.url, code=2)["result"]["error"]["code"] == "unauthorized"
    assert _call(*words, closed.url, code=75)["result"]["error"]["where"] == closed.url
    assert not list(tmp_path.iterdir())


def test_only_what_tenure_wrote_is_written_over(office: Path, tmp_path: Path) -> None:
    folder = tmp_path / "client"
    words = ("client", "typescript", "--project", str(office), "--out", str(folder))
    _call(*words)
    first = (folder / "client.ts").read_text()
    (folder / "package.json").write_text("mine")
    (folder / "client.ts").write_text(first + "// older\n")
    assert _call(*words)["artifacts"] == [str(folder / "client.ts")]
    assert (folder / "client.ts").read_text() == first
    assert (folder / "package.json").read_text() == "mine"
    (folder / "client.ts").write_text("// mine")
    assert _call(*words, code=2)["result"]["error"]["where"] == "--out"
    assert (folder / "client.ts").read_text() == "// mine"


# ---- whatever the columns are called ----


def _document(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a small OpenAPI document with a row schema."""

    def json_of(schema: Any) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schema}}}

    rows = {"type": "object", "properties": {"rows": {"type": "array", "items": row}}, "required": ["rows"]}
    return {
        "info": {"title": "t", "version": "1"},
        "paths": {"/predict": {"post": {"requestBody": json_of(rows), "responses": {"200": json_of({})}}}},
    } | more


def _row(columns: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": columns, "required": list(columns)}


NASTY = [
    "__proto__",
    "constructor",
    "class",
    "*/ globalThis.hacked = 1; /*",
    '"; globalThis.hacked = 1; "',
    "'; globalThis.hacked = 1; '",
    "`${globalThis.hacked = 1}`",
    "a\n}; globalThis.hacked = 1; type X = {",
    "a\r\nb",
    "\u2028globalThis.hacked = 1",
    "\\",
    '\\"',
    "\\u0022",
    "größe (m²)",
    "年齢",
    "😀",
    "\u202eright to left",
    "\ud800",
    "\0",
    "",
    " ",
    "1st",
    "a-b",
    "$price_2",
    "// comment",
    "@ts-ignore",
    "?",
    "readonly x",
    "[key: string]",
    "</script><script>",
]
TELLS = [*NASTY, "@ts-expect-error", "text\n@ts-expect-error\n", "*\u200b/", "**/", "*\n/", "mail@example.org"]


def test_no_name_or_text_of_a_column_becomes_code(tsc: list[str], tmp_path: Path) -> None:
    chance = random.Random(5)
    names = [*NASTY, *("".join(chr(chance.randrange(0x11000)) for _ in range(4)) for _ in range(200))]
    columns = {
        name: {"type": ["string", "null"], "enum": [name, None], "description": chance.choice(TELLS), "format": name}
        for name in names
    }
    document = _document(_row(columns), info={"title": NASTY[3] + "\n" + NASTY[7], "version": "*/"})
    document["paths"]["/explain"] = document["paths"]["/predict"]
    for name, text in typescript_files(document).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    cells = ", ".join(f"[{json.dumps(name)}]: {json.dumps(name)}" for name in names)
    keys = " | ".join(json.dumps(name) for name in names)
    (tmp_path / "use.ts").write_text(
        'import { type Row } from "./client.js";\n'
        f"export const row: Row = {{ {cells} }};\n"
        "type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;\n"
        f"export const same: Same<keyof Row, {keys}> = true;\n"
        'import * as client from "./client.js";\n'
        'console.log(JSON.stringify([Object.keys(row).length, Object.keys(client).sort(), "hacked" in globalThis]));\n'
    )
    _compile(tsc, tmp_path)
    said = json.loads(_node(tmp_path / "dist" / "use.js"))
    assert said == [len(set(names)), ["NoAnswerError", "ProblemError", "TenureClient"], False]


TOKEN = re.compile(r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.S)
_TEXT = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(TELLS)


def _parts(document: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the types of a client without comments and strings, and the strings."""
    types = typescript_client(document).split("/** How to reach the server. */")[0]
    strings = [json.loads(found) for found in TOKEN.findall(types) if found.startswith('"')]
    skeleton = TOKEN.sub(lambda found: "S" if found[0].startswith('"') else "", types)
    return re.sub(r"^(\s+)[\w$]+(\??: )", r"\1S\2", re.sub(r"\n\s*\n", "\n", skeleton), flags=re.M), strings


@given(
    columns=st.dictionaries(_TEXT, st.tuples(_TEXT, st.lists(_TEXT, min_size=1, max_size=3, unique=True)), max_size=5),
    title=_TEXT,
)
def test_the_code_is_the_same_whatever_the_texts_are(columns: dict[str, tuple[str, list[str]]], title: str) -> None:
    def document(names: list[str], told: str, values: list[list[str]]) -> dict[str, Any]:
        made = {
            name: {"enum": some, "description": told or columns[name][0], "examples": [told or columns[name][0]]}
            for name, some in zip(names, values, strict=True)
        }
        return _document(_row(made), info={"title": told or title, "version": told or title})

    nasty = document(list(columns), "", [values for _, values in columns.values()])
    plain = document(
        [f"column {at}" for at in range(len(columns))],
        "plain",
        [[f"level {at}" for at in range(len(values))] for _, values in columns.values()],
    )
    skeleton, strings = _parts(nasty)
    assert skeleton == _parts(plain)[0]
    quoted = [name for name in columns if not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name)]
    expected = [text for name, (_, values) in columns.items() for text in ([name] if name in quoted else []) + values]
    assert strings == expected
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u2029\u202a-\u202e\ud800-\udfff]", typescript_client(nasty))


def test_the_same_document_gives_the_same_text_in_whatever_order_it_was_read() -> None:
    one = _document(_row({"a": {"type": "number"}}))
    other = json.loads(json.dumps(one, sort_keys=True))
    assert typescript_client(one) == typescript_client(other)
    assert digest(one) in typescript_client(one)
    assert digest(one) != digest(_document(_row({"a": {"type": "integer"}})))


@pytest.mark.parametrize(
    ("schema", "type_of"),
    [
        ({"type": "integer"}, "number"),
        ({"type": ["boolean", "null"]}, "boolean | null"),
        ({"enum": ["a", 1, True, None, 1.5]}, '"a" | 1 | true | null | 1.5'),
        ({"const": "x"}, '"x"'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "string"}]}, "string | null"),
        ({"allOf": [{"$ref": "#/components/schemas/A"}]}, "(A)"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "Array<string | null>"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]}, "[number, string]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "Record<string, number>"),
        ({"$ref": "#/components/schemas/A"}, "A"),
        ({"$ref": "#/components/schemas/Odd%20name~1x"}, "OddNameX"),
        ({"$ref": "#/components/schemas/Promise"}, "Promise2"),
        ({"$ref": "#/nowhere"}, "unknown"),
        ({"$ref": "https://elsewhere.example/schema"}, "unknown"),
        ({"$ref": "#/components/schemas/Round"}, "unknown"),
        ({}, "unknown"),
        (True, "unknown"),
        (False, "never"),
        ({"type": "of the future"}, "unknown"),
    ],
)
def test_each_form_of_schema_has_its_type(schema: Any, type_of: str) -> None:
    schemas = {
        "A": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/A"}}},
        "Odd name/x": {"type": "string"},
        "Promise": {"type": "string"},
        "Round": {"$ref": "#/components/schemas/Round"},
    }
    text = typescript_client(_document(_row({"c": schema}), components={"schemas": schemas}))
    assert f"  c: {type_of};\n" in text


def test_a_row_may_be_referred_to_or_stand_where_it_is_used() -> None:
    row = _row({"a": {"type": "number"}})
    inline = _document(row)
    asked = inline["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schemas = {"Asked": asked | {"properties": {"rows": {"type": "array", "items": {"$ref": "#/c/Line"}}}}, "Line": row}
    referred = _document({"$ref": "#/c/Line"}, c=schemas)
    body = referred["paths"]["/predict"]["post"]["requestBody"]
    body["content"]["application/json"]["schema"] = {"$ref": "#/c/Asked"}
    assert _parts(inline) == _parts(referred)
    referred["paths"]["/explain"] = {"post": {"requestBody": body, "responses": {}}}
    text = typescript_client(referred)
    assert "export type ExplainRequest = PredictRequest;" in text
    assert "  explain(rows: readonly Row[]" in text


@pytest.mark.parametrize("document", [{}, {"paths": {}}, {"paths": {"/predict": {"post": {}}}}, _document({})])
def test_a_document_without_the_columns_of_a_row_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="columns"):
        typescript_client(document)


def test_routes_that_the_server_lacks_are_not_in_the_client() -> None:
    text = typescript_client(_document(_row({"a": {"type": "number"}})))
    assert "  predict(" in text
    assert "  explain(" not in text
    assert "Explain" not in text
