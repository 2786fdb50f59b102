"""The page `docs/reference/keys.md`: every key of a sweep file and of the settings, made from their schemas.

`python -m tests.unit.config.keys_page` writes it anew.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hsm.config.json_schema import settings_schema, sweep_schema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "keys.md"
HEAD = """# Every key

All keys with a fixed name, made from the schemas that editors get: `python -m tests.unit.config.keys_page`
writes this page anew. [Configuration](configuration.md) explains them with examples.
"""
TABLE = "| key | takes | default | meaning |\n|---|---|---|---|\n"
BOUNDS = {"minimum": "at least {}", "exclusiveMinimum": "above {}", "maximum": "at most {:,}"}


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for title, schema in {"Sweep file": sweep_schema(), "Settings": settings_schema()}.items():
        parts.append(f"## {title}\n\n{TABLE}" + "".join(_row(*found) for found in keys(schema)))
    return "\n".join(parts)


def keys(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every key of a schema with what it takes, by dotted path."""
    for key, inner in schema.get("properties", {}).items():
        where = f"{path}.{key}".removeprefix(".")
        yield where, inner
        yield from _below(inner, where)


def _below(inner: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from keys(inner, where)
    others = inner.get("additionalProperties")
    for entry in (others, inner.get("items")):
        forms = entry.get("anyOf", [entry]) if isinstance(entry, Mapping) else []
        for form in forms:
            yield from keys(form, f"{where}.NAME" if entry is others else f"{where}[]")
    yield from (found for form in inner.get("anyOf", [])[:1] for found in keys(form, where))


def _row(path: str, schema: Mapping[str, Any]) -> str:
    default = f"`{json.dumps(schema['default']).strip(chr(34))}`" if "default" in schema else ""
    meaning = str(schema.get("description", "")).replace("|", "\\|")
    return f"| `{path}` | {takes(schema)} | {default} | {meaning} |\n"


def takes(schema: Mapping[str, Any]) -> str:
    """Return in words what a key takes."""
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(takes(form) for form in schema["anyOf"]))
    kinds = schema.get("type", "value")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    words = words.replace("object", "map").replace("array", "list").replace("string", "text")
    bounds = [text.format(schema[name]) for name, text in BOUNDS.items() if name in schema]
    return f"{words}, {', '.join(bounds)}" if bounds else words


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
