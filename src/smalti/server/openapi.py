"""The API's description, made from the handlers and their records, and put right where the generator is not."""

from typing import Any

from smalti.server.security import SLASH

__all__ = ["describe"]

_EXTRA = "__smalti_extra__"
_RECORDS = ("Frame", "Source", "Mask", "Preview", "Roi", "RoiMask")
_ALSO = {
    "/api/v1/versions/{version}/export": ("application/x-ndjson", "text/csv"),
    "/api/v1/versions/{version}/statistics": ("text/csv",),
}
_SECURITY = {
    "session": {"type": "apiKey", "in": "cookie", "name": "smalti_session_8080"},
    "key": {"type": "http", "scheme": "basic", "description": "access key and secret key"},
    "token": {"type": "http", "scheme": "bearer", "description": "access:secret, or the server's token"},
}


def describe(app: Any) -> dict[str, Any]:
    """The OpenAPI document of an app."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    schemas = found["components"]["schemas"]
    for name in _RECORDS:
        if name in schemas:
            # Unknown keys of a frame are kept where they were found.
            schemas[name]["properties"].pop(_EXTRA, None)
            schemas[name]["additionalProperties"] = True
    for path, kinds in _ALSO.items():
        for operation in found["paths"].get(path, {}).values():
            content = operation["responses"]["200"].setdefault("content", {})
            content.update({kind: {"schema": {"type": "string"}} for kind in kinds})
    found["components"]["securitySchemes"] = _SECURITY
    found["security"] = [{"session": []}, {"key": []}, {"token": []}]
    schemas["Problem"] = _PROBLEM
    for path in found["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "responses" in operation:
                _errors(operation)
    whole: dict[str, Any] = _put_right(found)
    return whole


_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "path": {"type": "string"},
        "text": {"type": "string"},
        "column": {"type": "integer"},
        "completions": {"type": "array", "items": {"type": "string"}},
        "known": {"type": "array", "items": {"type": "string"}},
        "report": {},
        "etag": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


def _errors(operation: dict[str, Any]) -> None:
    """Every operation may answer with a problem."""
    responses = operation["responses"]
    for status in [status for status in responses if status.startswith("4")]:
        del responses[status]
    responses["default"] = {
        "description": "A problem",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if any(
        "image/" in kind or "octet" in kind or "video/" in kind
        for r in responses.values()
        for kind in r.get("content", {})
    ):
        responses["304"] = {"description": "Not changed"}
        responses["206"] = {"description": "A part", "content": responses.get("200", {}).get("content", {})}


def _put_right(found: Any) -> Any:
    """`oneOf` of integer and number fits no whole number, for both fit it: `anyOf` is meant."""
    if isinstance(found, dict):
        out = {("anyOf" if key == "oneOf" else key): _put_right(value) for key, value in found.items()}
        out.pop(SLASH, None)
        return out
    return [_put_right(item) for item in found] if isinstance(found, list) else found
