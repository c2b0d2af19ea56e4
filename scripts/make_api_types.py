"""The pages' types, from the server's own description of its API.

    python scripts/make_api_types.py            write web/src/lib/api.gen.ts
    python scripts/make_api_types.py --check    say whether it is current

A field of an answer is always there; one of a request, or of a frame, may be left out where the description does not
call for it.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

TARGET = ROOT / "web" / "src" / "lib" / "api.gen.ts"
HEAD = "/** Made by scripts/make_api_types.py from the server's description of its API. Do not edit. */\n"
RECORDS = frozenset({"Frame", "Source", "Mask", "Preview", "Roi", "RoiMask"})
"""Written down without what has its default, so that a key may be missing from an answer too."""
_REF = "#/components/schemas/"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def description() -> dict[str, Any]:
    """OpenAPI, of a server on an empty store."""
    from smalti.server.app import create_app
    from smalti.server.openapi import describe
    from smalti.server.settings import Settings
    from smalti.store import open_store

    with tempfile.TemporaryDirectory(prefix="smalti-") as folder:
        open_store(folder).close()
        server = create_app(Settings(store=folder))
        found: dict[str, Any] = describe(server.litestar)
        server.service.close()
    return found


def write(document: dict[str, Any]) -> str:
    """The types as TypeScript."""
    schemas = document["components"]["schemas"]
    answers = _named_in([_answers(operation) for path in document["paths"].values() for operation in path.values()])
    seen: set[str] = set()
    while fresh := answers - seen:
        seen |= fresh
        answers |= _named_in([schemas[name] for name in fresh])
    parts = [_interface(name, schemas[name], name in answers - RECORDS) for name in sorted(schemas)]
    return HEAD + "".join(parts)


def _answers(operation: Any) -> Any:
    return [
        answer.get("content", {}) for status, answer in operation.get("responses", {}).items() if status.startswith("2")
    ]


def _named_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].removeprefix(_REF)} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_named_in(part) for part in value.values()))
    return set[str]().union(*(_named_in(part) for part in value)) if isinstance(value, list) else set()


def _interface(name: str, schema: dict[str, Any], always: bool) -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"  {field}{'' if always or field in required else '?'}: {_type(part)};\n"
        for field, part in sorted(schema.get("properties", {}).items())
    ]
    if schema.get("additionalProperties") is True:
        lines.append("  [more: string]: unknown;\n")
    about = str(schema.get("description", "")).strip().split("\n")[0].replace("*/", "")
    note = f"/** {about} */\n" if about else ""
    return f"\n{note}export interface {name} {{\n{''.join(lines)}}}\n"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REF)
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(dict.fromkeys(_type(part) for part in schema[key]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_type({**schema, "type": one}) for one in kind))
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(_type(part) for part in schema['prefixItems'])}]"
        inner = _type(schema.get("items", {}))
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {_type(more) if isinstance(more, dict) else 'unknown'}>"
    return _PLAIN.get(str(kind), "unknown")


def main() -> None:
    """Write the file, or compare with it."""
    text = write(description())
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit(f"{TARGET.relative_to(ROOT)} is not what the server describes: python scripts/make_api_types.py")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
