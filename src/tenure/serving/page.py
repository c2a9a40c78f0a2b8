"""The OpenAPI document with the row of the model in office, and the same as one page that loads nothing else."""

from __future__ import annotations

import json
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h2{font-size:1.1rem;margin-top:2rem}code,pre{font-family:ui-monospace,monospace;font-size:.9rem}"
    "pre{background:#f4f4f4;padding:.75rem;overflow-x:auto}"
)


def docs_page(document: dict[str, Any]) -> str:
    """Return an HTML page of the routes of an OpenAPI document: what each does and takes, and its answer."""
    title = escape(document["info"]["title"])
    parts = [
        _route_part(document, method, path, route)
        for path, routes in document["paths"].items()
        for method, route in routes.items()
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'</head><body><main><h1>{title}</h1><p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(parts)}</main></body></html>"
    )


def _route_part(document: dict[str, Any], method: str, path: str, route: dict[str, Any]) -> str:
    parts = [f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(route.get('description', ''))}</p>"]
    for parameter in route.get("parameters", ()):
        if parameter["in"] == "header":
            says = escape(parameter.get("description", ""))
            parts.append(f"<p>Header <code>{escape(parameter['name'])}</code>: {says}</p>")
    for label, content in (
        ("Takes", route.get("requestBody", {}).get("content")),
        ("Answers", route["responses"].get("200", {}).get("content")),
    ):
        for media_type, media in (content or {}).items():
            named = label if media_type == "application/json" else f"{label} {media_type}"
            parts.append(_folded(f"{named}, for example", media.get("example")))
            parts.append(_folded(named, _resolved(document, media.get("schema"))))
    return "".join(parts)


def _folded(label: str, data: Any) -> str:
    if not data:
        return ""
    text = data if isinstance(data, str) else json.dumps(data, indent=2, ensure_ascii=False)
    return f"<details><summary>{escape(label)}</summary><pre>{escape(text)}</pre></details>"


def _resolved(document: dict[str, Any], schema: Any) -> Any:
    """Return a schema with what it refers to in place of the references."""
    if isinstance(schema, list):
        return [_resolved(document, item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return _resolved(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]])
    return {name: _resolved(document, inner) for name, inner in schema.items()}
