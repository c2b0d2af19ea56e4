"""The one shape of every answer: `{"meta": ..., "data": ...}`, with an HTTP status that equals `meta.result_code`.

A client of this protocol retries for ever on a status above 500 and on JSON without `meta`, so neither ever leaves here.
"""

import re
from typing import Any
from uuid import uuid4

import msgspec

from smalti.errors import AccessDenied, SmaltiError, StorageError
from smalti.server.problems import Refusal

__all__ = ["CODES", "Fault", "answer", "fault_of"]

CODES = frozenset({200, 400, 401, 403, 404, 500})
_encoder = msgspec.json.Encoder(decimal_format="number")
_LONE = re.compile("[\ud800-\udfff]")


class Fault(Exception):
    """A request that is refused: a code of `CODES`, and a sentence for people."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code if code in CODES else 400


def fault_of(error: BaseException) -> Fault:
    """The refusal that an error on purpose becomes."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Refusal):
        status = error.problem.status
        # 429 would make the client hammer with its own back-off: too many wrong keys are wrong keys.
        return Fault(401 if status == 429 else status, error.problem.detail)
    if isinstance(error, AccessDenied):
        return Fault(403, str(error))
    if isinstance(error, StorageError):
        return Fault(500, str(error))
    if isinstance(error, SmaltiError | FileNotFoundError):
        return Fault(400, str(error))
    return Fault(500, f"the server failed on this request: {type(error).__name__}; its log says why")


def answer(
    endpoint: str, requested: str, data: dict[str, Any] | None = None, fault: Fault | None = None
) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    number = uuid4().hex
    code = 200 if fault is None else fault.code
    meta = {
        "id": number,
        "trx": number,
        "endpoint": {"name": _text(endpoint), "requested_version": _text(requested), "actual_version": "1.0"},
        "result_code": code,
        "result_subcode": 0,
        "result_msg": "OK" if fault is None else _text(str(fault)),
        "error_stack": None,
        "error_data": {},
    }
    return code, _encoder.encode({"meta": meta, "data": data or {}})


def _text(value: str) -> str:
    """What JSON can say: half of a surrogate pair, which a URL or a message may hold, cannot be encoded."""
    return _LONE.sub("�", value)
