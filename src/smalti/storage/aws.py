"""Who we are for S3: keys, region and endpoint from arguments, the environment and the AWS files.

The order is that of the AWS tools. Only what is written down is read here; roles of containers and instances are
left to the store library.
"""

import configparser
import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from smalti.errors import AccessDenied, StorageError
from smalti.storage.config import Storage

__all__ = ["HOW_TO_SIGN_IN", "read_profile", "s3_options", "with_scheme"]

HOW_TO_SIGN_IN = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or pass Storage(profile=...); "
    "for a public bucket pass Storage(anonymous=True) or set AWS_SKIP_SIGNATURE=true"
)
_TRUE = ("1", "true", "yes", "on")
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "endpoint_url")


def _file(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or f"~/.aws/{default}").expanduser()


@lru_cache(maxsize=16)
def _sections(path: Path, _mtime_ns: int) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(default_section="\0none", strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as fault:
        raise StorageError(f"{path}: cannot be read as an AWS file ({fault})") from None
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        return _sections(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise StorageError(f"{path}: cannot be read as an AWS file ({fault.strerror})") from None


def read_profile(name: str) -> dict[str, str] | None:
    """What the AWS files say of a profile; None if neither names it. `credentials` wins over `config`."""
    config = _read(_file("AWS_CONFIG_FILE", "config"))
    credentials = _read(_file("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    rows = [config.get(name if name == "default" else f"profile {name}"), credentials.get(name)]
    if rows == [None, None]:
        return None
    merged: dict[str, str] = {}
    for row in rows:
        merged.update(row or {})
    if "aws_access_key_id" not in merged and "source_profile" in merged and "role_arn" not in merged:
        merged = (read_profile(merged["source_profile"]) or {}) | merged
    return merged


def with_scheme(endpoint: str) -> str:
    """An endpoint as an address: `localhost:9000` is plain http, other bare hosts are https."""
    host = endpoint.rpartition(":")[0] or endpoint
    loopback = host in ("localhost", "[::1]") or host.startswith("127.")
    address = endpoint if "://" in endpoint else f"{'http' if loopback else 'https'}://{endpoint}"
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = None
    if not known:  # the store library would not raise but panic
        raise StorageError(f"S3 endpoint {endpoint!r} is not an address; write for example http://localhost:9000")
    return address.rstrip("/")


def _profile(storage: Storage) -> tuple[str, dict[str, str]]:
    name = storage.profile or os.environ.get("AWS_PROFILE")
    found = read_profile(name or "default")
    if found is None and name:
        files = f"{_file('AWS_SHARED_CREDENTIALS_FILE', 'credentials')} and {_file('AWS_CONFIG_FILE', 'config')}"
        raise AccessDenied(f"AWS profile {name!r} is in neither of {files}; add it, or {HOW_TO_SIGN_IN}")
    return name or "default", {key: found[key] for key in found} if found else {}


def _profile_keys(name: str, profile: dict[str, str], *, asked: bool) -> dict[str, str]:
    if "aws_access_key_id" in profile and "aws_secret_access_key" in profile:
        return {key: profile[key] for key in _KEYS[:3] if key in profile}
    if asked:
        ways = [key for key in ("sso_session", "sso_start_url", "role_arn", "credential_process") if key in profile]
        what = f"uses {', '.join(ways)}" if ways else "holds no keys"
        raise AccessDenied(
            f"AWS profile {name!r} {what}, and only keys are read here; "
            f"run: eval $(aws configure export-credentials --profile {name} --format env)"
        )
    return {}


def _keys(storage: Storage, name: str, profile: dict[str, str]) -> dict[str, str]:
    """What signs the requests; empty if the store library shall look for a container's or instance's role."""
    environ = os.environ
    if access := storage.option("aws_access_key_id", "access_key_id"):
        found = {"aws_access_key_id": access}
        if secret := storage.option("aws_secret_access_key", "secret_access_key"):
            found["aws_secret_access_key"] = secret
        if token := storage.option("aws_session_token", "session_token", "token"):
            found["aws_session_token"] = token
        return found
    if storage.anonymous or environ.get("AWS_SKIP_SIGNATURE", "").lower() in _TRUE:
        return {"aws_skip_signature": "true"}
    if storage.profile:
        return _profile_keys(name, profile, asked=True)
    if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {key.lower(): environ[key] for key in names if environ.get(key)}
    roles = (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    )
    by_role = any(environ.get(role) for role in roles)
    if found := _profile_keys(name, profile, asked=bool(environ.get("AWS_PROFILE")) and not by_role):
        return found
    if not by_role and environ.get("AWS_EC2_METADATA_DISABLED", "").lower() in _TRUE:
        raise AccessDenied(f"no S3 credentials were found; {HOW_TO_SIGN_IN}")
    return {}


def s3_options(storage: Storage, endpoint: str = "") -> dict[str, str]:
    """Options of the store library for S3; `endpoint` is the server that the URI itself names, if it does.

    Raises:
        AccessDenied: There are no credentials, or the profile has none that can be used.
    """
    environ = os.environ
    name, profile = _profile(storage) if storage.option("aws_access_key_id", "access_key_id") is None else ("", {})
    configured = (
        storage.endpoint
        or storage.option("aws_endpoint", "endpoint", "aws_endpoint_url", "endpoint_url")
        or environ.get("SMALTI_S3_ENDPOINT")
        or environ.get("AWS_ENDPOINT_URL_S3")
        or environ.get("AWS_ENDPOINT_URL")
        or profile.get("endpoint_url")
    )
    if endpoint and not (configured and with_scheme(configured).partition("://")[2] == endpoint):
        configured = endpoint
    found = _keys(storage, name, profile)
    found["aws_region"] = (
        storage.region
        or storage.option("aws_region", "region")
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or profile.get("region")
        or "us-east-1"
    )
    if configured:
        found["aws_endpoint"] = with_scheme(configured)
        if found["aws_endpoint"].startswith("http://"):
            found["allow_http"] = "true"
    return found
