"""What went wrong, in words: the store library's errors become ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from smalti.errors import AccessDenied, StorageError
from smalti.storage.aws import HOW_TO_SIGN_IN
from smalti.storage.uri import Place, shown

__all__ = ["Changed", "Interrupted", "LengthUnknown", "NotModified", "RangesUnsupported", "explain", "translated"]

_STATUS = re.compile(r"status code: (\d{3}) ?([^\n:]*)")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_SIGN_IN = {
    "s3": HOW_TO_SIGN_IN,
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to a key file or run: gcloud auth application-default login; "
    "for a public bucket pass Storage(anonymous=True)",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_TOKEN); "
    "for a public container pass Storage(anonymous=True)",
    "http": "use an address that is signed or that your account may read",
}
_BAD_KEYS = ("ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed")


class RangesUnsupported(StorageError):
    """The server cannot send a part of this object, or says so in a way that cannot be used."""


class LengthUnknown(StorageError):
    """The server does not say how long the object is."""


class NotModified(StorageError):
    """The copy that we hold is current."""


class Changed(StorageError):
    """The object was replaced while it was being read."""


class Interrupted(StorageError):
    """The connection broke in the middle of the bytes; worth another try."""


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turn the store library's errors within the block into ours."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, ValueError) as fault:
        # `from None`: the original holds the signed address and pages of debug output.
        raise explain(place, fault) from None


def explain(place: Place, fault: Exception) -> OSError:
    """Our error for one of the store library's."""
    from obstore import exceptions

    uri, where, text = place.uri, shown(place.uri), str(fault)
    match = _STATUS.search(text)
    status, reason = (int(match[1]), match[2].strip()) if match else (0, "")
    code = found[1] if (found := _CODE.search(text)) else ""
    said = f"{status} {code or reason}".strip()
    if isinstance(fault, exceptions.NotModifiedError):
        return NotModified(f"{where}: not modified", uri=uri)
    if status in (404, 410) or (
        isinstance(fault, FileNotFoundError) and not status
    ):  # the library says so of a 405, too
        return _missing(place, where, code)
    if isinstance(fault, exceptions.AlreadyExistsError):
        return FileExistsError(
            f"{where}: there is an object of that name already; choose another, or allow overwriting"
        )
    if _is_denied(fault, status, code, text):
        sign_in = _SIGN_IN.get(place.scheme, "check what you may read")
        if not status or "169.254.169.254" in text or "token request" in text:
            said = "no credentials were found"
        return AccessDenied(f"{where}: access denied ({said}); {sign_in}", uri=uri)
    if (
        isinstance(fault, exceptions.NotSupportedError)
        or status == 416
        or "CONTENT_RANGE" in text
        or "Invalid range" in text
    ):
        return RangesUnsupported(f"{where}: the server does not send parts of it ({said or 'ignored'})", uri=uri)
    if "MissingContentLength" in text:
        return LengthUnknown(f"{where}: the server does not say how long it is", uri=uri)
    if isinstance(fault, exceptions.PreconditionError):
        return Changed(f"{where}: it was replaced while it was being read; read it again", uri=uri)
    if isinstance(fault, ValueError):
        return StorageError(f"{where}: not a key that can be addressed ({text.splitlines()[0]})", uri=uri)
    return _network(place, where, text, status, said)


def _missing(place: Place, where: str, code: str) -> FileNotFoundError:
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return FileNotFoundError(f"{where}: there is no bucket {place.root!r}; check its name and the endpoint")
    return FileNotFoundError(f"{where}: there is no such object; check the name, upper and lower case matter")


def _is_denied(fault: Exception, status: int, code: str, text: str) -> bool:
    from obstore import exceptions

    denied = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
    no_role = "169.254.169.254" in text or "token request" in text or "MissingCredential" in text
    return isinstance(fault, denied) or status in (401, 403, 407) or code in _BAD_KEYS or no_role


def _network(place: Place, where: str, text: str, status: int, said: str) -> StorageError:
    uri = place.uri
    if status in (301, 307, 308, 400) and place.scheme == "s3":
        return StorageError(
            f"{where}: the server refused the request ({said}); "
            "the bucket may lie in another region: set AWS_REGION or Storage(region=...), or check the endpoint",
            uri=uri,
        )
    if status:
        hint = "the server is in trouble: try later" if status >= 500 or status == 429 else "check the address"
        return StorageError(f"{where}: the server answered {said}; {hint}", uri=uri)
    if "kind: Timeout" in text or "TimedOut" in text:
        body = "kind: Body" in text
        kind = Interrupted if body else StorageError
        return kind(
            f"{where}: timeout, the server went silent; check the network, or raise Storage(timeout_s=...) "
            "or SMALTI_TIMEOUT_S",
            uri=uri,
        )
    if "dns error" in text or "failed to lookup" in text:
        return StorageError(f"{where}: the host name is unknown (DNS); check the address and the network", uri=uri)
    if "refused" in text.lower():
        return StorageError(f"{where}: connection refused; is the server running, is the port right?", uri=uri)
    if "certificate" in text.lower():
        return StorageError(f"{where}: the server's certificate is not trusted; check the address or your CA", uri=uri)
    if "kind: Interrupted" in text or "IncompleteBody" in text or "kind: Body" in text:
        return Interrupted(f"{where}: the connection broke before all bytes came; try again", uri=uri)
    first = text.partition("\n")[0]
    reason = re.sub(r"https?://\S+", "the server", first).replace("Debug source:", "").strip()
    return StorageError(f"{where}: {reason}; check the network and the address", uri=uri)
