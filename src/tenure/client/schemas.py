"""Write JSON Schema 2020-12 as TypeScript types. Names and texts of the schema come out as data, never as code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

_PLAIN_TYPES: Final = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_UNKNOWN: Final = "unknown"


class Types:
    """Types of one OpenAPI document; a schema gets a name once, and is written under it.

    `taken` are names that the module around the types uses itself.
    """

    def __init__(self, document: Mapping[str, Any], taken: Iterable[str]) -> None:
        self._document = document
        self._taken = set(taken)
        self._named: dict[int, str] = {}
        self._waiting: list[tuple[str, Any]] = []
        self._aliases: list[tuple[str, str]] = []

    def name(self, schema: Any, name: str) -> None:
        """Write a schema under a name of our choice; one that has a name gets this as a second one."""
        found = self.resolved(schema)
        if id(found) in self._named:
            self._aliases.append((name, self._named[id(found)]))
        else:
            self._take(found, name)

    def declarations(self) -> str:
        """Return the declaration of every named schema, and of those that they refer to."""
        made = []
        for name, schema in self._waiting:  # grows while it is walked, as references are met
            told = doc(_told(schema), "")
            made.append(f"{told}export type {name} = {self._shape(schema, '')};\n")
        made += [f"export type {name} = {other};\n" for name, other in self._aliases]
        return "\n".join(made)

    def resolved(self, schema: Any) -> Any:
        """Return what a schema refers to in the end; a reference that leads nowhere is any value."""
        seen: set[str] = set()
        while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
            if reference in seen:
                return True
            seen.add(reference)
            schema = self._at(reference)
        return schema

    def _at(self, reference: str) -> Any:
        head, _, path = reference.partition("#/")
        if head:
            return True
        found: Any = self._document
        for step in path.split("/"):
            name = _step(step)
            if not isinstance(found, dict) or name not in found:
                return True
            found = found[name]
        return found

    def _take(self, schema: Any, name: str) -> str:
        self._taken.add(name)
        self._named[id(schema)] = name
        self._waiting.append((name, schema))
        return name

    def _type(self, schema: Any, indent: str) -> str:
        """Return the type of a schema: its name where it has one."""
        if isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
            found = self.resolved(schema)
            if not isinstance(found, dict):
                return self._shape(found, indent)
            return self._named.get(id(found)) or self._take(found, self._free_name(schema["$ref"]))
        return self._named.get(id(schema)) or self._shape(schema, indent)

    def _free_name(self, reference: str) -> str:
        words = re.findall(r"[A-Za-z0-9]+", _step(reference.rsplit("/", 1)[-1]))
        wanted = "".join(word[0].upper() + word[1:] for word in words) or "Type"
        name = wanted = f"T{wanted}" if wanted[0].isdigit() else wanted
        count = 1
        while name in self._taken:
            count += 1
            name = f"{wanted}{count}"
        return name

    def _shape(self, schema: Any, indent: str) -> str:
        if schema is False:
            return "never"
        if not isinstance(schema, dict):
            return _UNKNOWN
        if "const" in schema:
            return _literal(schema["const"])
        if isinstance(schema.get("enum"), list):
            return _union(_literal(value) for value in schema["enum"])
        for choice in ("anyOf", "oneOf"):
            if isinstance(schema.get(choice), list):
                return _union(self._type(one, indent) for one in schema[choice])
        if isinstance(schema.get("allOf"), list):
            return " & ".join(f"({self._type(one, indent)})" for one in schema["allOf"]) or _UNKNOWN
        kinds = schema.get("type", "object" if "properties" in schema else None)
        return _union(self._of_kind(kind, schema, indent) for kind in (kinds if isinstance(kinds, list) else [kinds]))

    def _of_kind(self, kind: Any, schema: dict[str, Any], indent: str) -> str:
        if kind == "array":
            return self._array(schema, indent)
        if kind == "object":
            return self._object(schema, indent)
        return _PLAIN_TYPES.get(kind, _UNKNOWN) if isinstance(kind, str) else _UNKNOWN

    def _array(self, schema: dict[str, Any], indent: str) -> str:
        first = schema.get("prefixItems")
        if isinstance(first, list):
            return f"[{', '.join(self._type(one, indent) for one in first)}]"
        return f"Array<{self._type(schema.get('items', True), indent)}>"

    def _object(self, schema: dict[str, Any], indent: str) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return f"Record<string, {self._type(schema.get('additionalProperties', True), indent)}>"
        # Further properties, where allowed, are left out of the type: so the compiler finds a name that is misspelled.
        required = schema.get("required", ())
        inner = indent + "  "
        lines = [
            f"{doc(_told(one), inner)}{inner}{key(name)}{'' if name in required else '?'}: {self._type(one, inner)};\n"
            for name, one in properties.items()
        ]
        return f"{{\n{''.join(lines)}{indent}}}"


def text(value: str) -> str:
    """Return a string literal: JSON, with every sign that does not show (or turns the line around) escaped."""
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in json.dumps(value, ensure_ascii=False))


def key(name: str) -> str:
    """Return a property's name, quoted where it is no plain identifier."""
    return name if _IDENTIFIER.match(name) else text(name)


def doc(told: str, indent: str) -> str:
    """Return a doc comment that ends where it should, or nothing for a blank text."""
    lines = [_commented(line) for line in told.splitlines() if line.strip()]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}\n" for line in lines) + f"{indent} */\n"


def _commented(line: str) -> str:
    shown = "".join(sign if sign.isprintable() else " " for sign in line).strip()
    # An at-sign that begins a word would be a tag, or an order to the compiler (@ts-ignore).
    return re.sub(r"(?<!\w)@", r"\\@", shown).replace("*/", "*\\/")


def _told(schema: Any) -> str:
    if not isinstance(schema, dict):
        return ""
    said = schema.get("description")
    examples = schema.get("examples")
    lines = [said] if isinstance(said, str) else []
    if isinstance(schema.get("format"), str):
        lines.append(f"Format: {schema['format']}")
    if isinstance(examples, list) and examples and not isinstance(examples[0], dict | list):
        lines.append(f"Example: {json.dumps(examples[0], ensure_ascii=False)}")
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return json.dumps(value) if math.isfinite(value) else "number"
    return _UNKNOWN


def _union(types: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(types)) or "never"


def _step(step: str) -> str:
    """Return the name that one step of a JSON pointer (RFC 6901) in a URL stands for."""
    return unquote(step).replace("~1", "/").replace("~0", "~")


def _escaped(sign: str) -> str:
    return "".join(f"\\u{int.from_bytes(pair):04x}" for pair in _pairs(sign))


def _pairs(sign: str) -> list[bytes]:
    units = sign.encode("utf-16-be", errors="surrogatepass")
    return [units[at : at + 2] for at in range(0, len(units), 2)]
