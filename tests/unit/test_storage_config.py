"""Who we are and how stores are reached."""

import pickle
from pathlib import Path

import pytest
from tests.s3 import S3Server

from smalti import storage as st
from smalti.errors import AccessDenied, StorageError

pytestmark = pytest.mark.usefixtures("bare_environment")

KEYS = {"access_key_id": "AK", "secret_access_key": "SK"}


def options(uri: str = "s3://b/k", **how: object) -> dict[str, str]:
    return st.store_options(uri, storage=st.Storage(**how))  # type: ignore[arg-type]


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = D\naws_secret_access_key = DS\n\n"
        "[minio]\naws_access_key_id = M\naws_secret_access_key = M%S\naws_session_token = MT\n"
    )
    (tmp_path / "config").write_text(
        "[default]\nregion = eu-west-1\n\n[profile minio]\nregion = home\nendpoint_url = http://minio:9000/\n"
        "s3 =\n    addressing_style = path\n\n[profile sso]\nsso_session = corp\n\n[profile also]\nsource_profile = minio\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


def test_a_storage_travels_and_hides_its_secrets(tmp_path: Path) -> None:
    storage = st.Storage(options=KEYS, cache=st.Cache(tmp_path), schemes={"s3"}, endpoint="http://x")  # type: ignore[arg-type]
    copy = pickle.loads(pickle.dumps(storage))
    assert copy == storage
    assert hash(copy) == hash(storage)
    assert copy.given == KEYS
    assert "SK" not in repr(storage)
    assert "AK" not in repr(storage)


def test_keys_come_from_arguments_then_environment_then_files(aws_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options()["aws_access_key_id"] == "D"
    assert options()["aws_region"] == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "minio")
    assert options() == {
        "aws_access_key_id": "M",
        "aws_secret_access_key": "M%S",
        "aws_session_token": "MT",
        "aws_region": "home",
        "aws_endpoint": "http://minio:9000",
        "allow_http": "true",
    }
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "E")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ES")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    found = options()
    assert (found["aws_access_key_id"], found["aws_region"]) == ("E", "eu-north-1")
    assert "aws_session_token" not in found
    assert options(profile="default")["aws_access_key_id"] == "D"
    assert options(profile="also")["aws_access_key_id"] == "M"
    found = options(options=KEYS, region="r")
    assert (found["aws_access_key_id"], found["aws_region"]) == ("AK", "r")
    assert options(anonymous=True)["aws_skip_signature"] == "true"
    assert "aws_access_key_id" not in options(anonymous=True)


def test_changed_files_are_read_again(aws_files: Path) -> None:
    import os

    assert options()["aws_access_key_id"] == "D"
    (aws_files / "credentials").write_text("[default]\naws_access_key_id = N\naws_secret_access_key = NS\n")
    os.utime(aws_files / "credentials", ns=(1, 1))
    assert options()["aws_access_key_id"] == "N"


def test_a_profile_that_cannot_be_used_says_what_to_do(aws_files: Path) -> None:
    with pytest.raises(AccessDenied, match=r"'sso' uses sso_session.*export-credentials --profile sso"):
        options(profile="sso")
    with pytest.raises(AccessDenied, match=r"profile 'nobody' is in neither of .*credentials"):
        options(profile="nobody")
    (aws_files / "credentials").write_text("no section here\n")
    with pytest.raises(StorageError, match="cannot be read as an AWS file"):
        options(profile="minio")


def test_no_credentials_say_what_to_set() -> None:
    with pytest.raises(AccessDenied, match=r"no S3 credentials.*AWS_ACCESS_KEY_ID.*anonymous=True"):
        st.fetch("s3://bucket/key")
    assert isinstance(st.fetch_many(["s3://bucket/key"])[0], AccessDenied)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AWS_ENDPOINT_URL": "https://general"}, "https://general"),
        ({"AWS_ENDPOINT_URL": "https://general", "AWS_ENDPOINT_URL_S3": "https://s3ish/"}, "https://s3ish"),
        ({"SMALTI_S3_ENDPOINT": "localhost:9", "AWS_ENDPOINT_URL_S3": "https://s3ish"}, "http://localhost:9"),
        ({"SMALTI_S3_ENDPOINT": "minio.lan:9"}, "https://minio.lan:9"),
    ],
)
def test_the_endpoint_of_the_environment(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert options(options=KEYS)["aws_endpoint"] == expected
    assert options(options=KEYS, endpoint="http://mine")["aws_endpoint"] == "http://mine"


def test_a_server_in_the_uri_wins_and_takes_the_scheme_that_was_configured() -> None:
    assert options("s3://minio:9000/b/k", options=KEYS)["aws_endpoint"] == "https://minio:9000"
    assert options("s3://127.0.0.1:9000/b/k", options=KEYS)["aws_endpoint"] == "http://127.0.0.1:9000"
    same = options("s3://minio:9000/b/k", options=KEYS, endpoint="http://minio:9000")
    assert (same["aws_endpoint"], same["allow_http"]) == ("http://minio:9000", "true")


@pytest.mark.parametrize("endpoint", ["http://", "ftp://x", "http://h:port", "http://[::1", "://"])
def test_an_endpoint_that_is_no_address(endpoint: str) -> None:
    with pytest.raises(StorageError, match="is not an address"):
        st.fetch("s3://b/k", storage=st.Storage(endpoint=endpoint, options=KEYS))


def test_options_of_the_other_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options("gs://b/k", anonymous=True) == {"google_skip_signature": "true"}
    with pytest.raises(AccessDenied, match="AZURE_STORAGE_ACCOUNT_NAME"):
        options("az://c/k")
    assert options("abfs://c@acc.dfs.core.windows.net/k")["azure_storage_account_name"] == "acc"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "env")
    assert options("az://c/k", anonymous=True) == {
        "azure_storage_account_name": "env",
        "azure_skip_signature": "true",
    }
    assert options("/local") == {}


def test_a_dead_cloud_server_is_an_error_soon() -> None:
    gone = "http://127.0.0.1:1"
    how = {"timeout_s": 2.0, "retries": 0, "anonymous": True}
    for uri, given in (
        ("s3://b/k", {"endpoint": gone}),
        ("az://c/k", {"account_name": "acc", "azure_storage_endpoint": gone, "allow_http": "true"}),
        ("gs://b/k", {"base_url": gone, "allow_http": "true"}),
    ):
        with pytest.raises(StorageError, match="refused"):
            st.fetch(uri, storage=st.Storage(options=given, **how))  # type: ignore[arg-type]


def test_the_default_follows_the_environment_until_one_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert st.default_storage().cache is None
    monkeypatch.setenv("SMALTI_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("SMALTI_CACHE_LIMIT", "2 GiB")
    monkeypatch.setenv("SMALTI_TIMEOUT_S", "2.5")
    monkeypatch.setenv("SMALTI_RETRIES", "1")
    found = st.default_storage()
    assert found.cache == st.Cache(tmp_path / "c", max_bytes=2 * 2**30)
    assert (found.timeout_s, found.retries) == (2.5, 1)
    mine = st.Storage(region="here")
    with st.using_storage(mine):
        assert st.default_storage() is mine
    before = st.set_default_storage(mine)
    try:
        assert (before, st.default_storage()) == (None, mine)
    finally:
        st.set_default_storage(before)
    assert st.default_storage() == found


def test_the_cache_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SMALTI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = st.default_storage().cache
    assert cache is not None
    assert cache.folder == tmp_path / "smalti"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = st.default_storage().cache
    assert cache is not None
    assert tmp_path in cache.folder.parents


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("20GB", 20 * 10**9), ("1.5 MiB", 3 * 2**19), ("2k", 2000), ("3ti", 3 * 2**40)]
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert st.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "big", "-1", "1 XB", "1i"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(StorageError, match="is not a size"):
        st.parse_bytes(text)


def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="above 0"):
        st.Storage(timeout_s=0)
    monkeypatch.setenv("SMALTI_RETRIES", "many")
    with pytest.raises(StorageError, match="SMALTI_RETRIES is 'many'"):
        st.Storage()
    with pytest.raises(ValueError, match="at least 1"):
        st.fetch_many([], concurrency=0, storage=st.Storage(retries=0))


def test_a_profile_reaches_a_real_server(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "k", b"hello")
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = a\naws_secret_access_key = b\n")
    (tmp_path / "config").write_text(f"[profile lab]\nendpoint_url = {s3_server.endpoint}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    assert st.fetch(f"s3://{bucket}/k", storage=st.Storage(profile="lab")) == b"hello"
    host = s3_server.endpoint.removeprefix("http://")
    assert st.fetch(f"s3://{host}/{bucket}/k", storage=st.Storage(profile="lab")) == b"hello"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    explicit = st.Storage(profile="lab", endpoint=s3_server.endpoint, retries=0)
    assert st.fetch(f"s3://{bucket}/k", storage=explicit) == b"hello"


def test_what_s3_refuses(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    s3_server.put(bucket, "private", b"hello")
    with pytest.raises(FileNotFoundError, match="there is no bucket 'nowhere'"):
        st.fetch("s3://nowhere/k", storage=st.Storage(endpoint=s3_server.endpoint, options=KEYS))
    with pytest.raises(AccessDenied, match=r"s3://bucket-\d+/private: access denied \(403.*AWS_PROFILE"):
        st.put(f"s3://{bucket}/private", b"x", storage=st.Storage(endpoint=s3_server.endpoint, anonymous=True))
    with pytest.raises(StorageError, match="names a bucket, not an object"):
        st.fetch(f"s3://{bucket}", storage=st.Storage(endpoint=s3_server.endpoint, options=KEYS))
    with pytest.raises(StorageError, match="not a key that can be addressed"):
        st.fetch(f"s3://{bucket}/a/../b", storage=st.Storage(endpoint=s3_server.endpoint, options=KEYS))
