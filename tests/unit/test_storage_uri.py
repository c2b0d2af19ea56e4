"""What URIs name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from smalti import storage as st
from smalti.errors import StorageError


@pytest.mark.parametrize(
    ("uri", "scheme", "root", "key"),
    [
        ("a/b c.png", "file", "", "a/b c.png"),
        ("/a%20b.png", "file", "", "/a%20b.png"),
        ("odd:name.png", "file", "", "odd:name.png"),
        ("file:///a%20b/%C3%BC.png", "file", "", "/a b/ü.png"),
        ("file://localhost/x", "file", "", "/x"),
        ("FILE:/x", "file", "", "/x"),
        ("s3://bucket/a b/c%20d?e#f.png", "s3", "bucket", "a b/c%20d?e#f.png"),
        ("s3a://bucket/k", "s3", "bucket", "k"),
        ("s3://minio:9000/bucket/a/k", "s3", "bucket", "a/k"),
        ("gs://bucket/k", "gs", "bucket", "k"),
        ("gcs://bucket/k", "gs", "bucket", "k"),
        ("az://container/a/k", "az", "container", "a/k"),
        ("azure://container/a/k", "az", "container", "a/k"),
        ("azure://acc.blob.core.windows.net/container/a/k", "az", "container", "a/k"),
        ("abfs://container@acc.dfs.core.windows.net/a/k", "az", "container", "a/k"),
        ("abfss://container@acc.dfs.core.windows.net/a/k", "az", "container", "a/k"),
        ("https://h:8/a%20b/c.png", "http", "https://h:8", "a b/c.png"),
        ("HTTP://h/a.png#part", "http", "http://h", "a.png"),
        ("http://h/a.png?sig=1&x=a%2Fb", "http", "http://h/a.png?sig=1&x=a%2Fb", ""),
        ("http://h/a%2Fb.png", "http", "http://h/a%2Fb.png", ""),
        ("http://h/a//b.png", "http", "http://h/a//b.png", ""),
        ("memory://x/k", "memory", "x", "k"),
    ],
)
def test_a_uri_names_a_place(uri: str, scheme: str, root: str, key: str) -> None:
    place = st.parse_uri(uri)
    assert (place.uri, place.scheme, place.root, place.key) == (uri, scheme, root, key)


def test_azure_accounts_and_s3_servers_are_read_off_the_uri() -> None:
    assert st.parse_uri("azure://acc.blob.core.windows.net/c/k").account == "acc"
    assert st.parse_uri("abfss://c@acc.dfs.core.windows.net/k").account == "acc"
    assert st.parse_uri("az://c/k").account == ""
    assert st.parse_uri("s3://minio:9000/b/k").endpoint == "minio:9000"
    assert st.parse_uri("s3://b/k").endpoint == ""


def test_paths_are_uris() -> None:
    assert st.parse_uri(Path("x/y.png")).key == os.path.join("x", "y.png")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/x", "unknown scheme 'ftp'; known are file, http, https, s3, gs, az"),
        ("", "is empty"),
        ("a\0b", "NUL"),
        ("file:///a%00b", "no path"),
        ("file://server/share/x", "host 'server'"),
        ("s3:///key", "bucket is missing"),
        ("s3://h:9/", "bucket is missing"),
        ("az:///key", "bucket is missing"),
        ("azure://acc.blob.core.windows.net/", "container is missing"),
        ("http:///x", "no host"),
        ("http://[::1/x", "not a valid address"),
        ("http://h:port/x", "not a valid address"),
    ],
)
def test_what_cannot_be_understood_is_said(uri: str, said: str) -> None:
    with pytest.raises(StorageError) as caught:
        st.parse_uri(uri)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "base", ["s3://b/x", "gs://b", "memory://m/", "az://c/x/", "s3://h:9000/b/x", "abfs://c@a.dfs.core.windows.net/x"]
)
def test_base_and_key_spell_the_uri_again(base: str) -> None:
    place = st.parse_uri(st.join_uri(base, "a b", "c%.png"))
    assert place.base + place.key == place.uri


@given(some.text(some.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1))
def test_a_joined_name_is_found_again(name: str) -> None:
    for base in ("file:///d", "/d", "s3://b/d"):
        assert st.parse_uri(st.join_uri(base, name)).key.endswith("d/" + name)
    if name not in (".", ".."):
        assert st.parse_uri(st.join_uri("https://h/d", name)).key == "d/" + name


def test_secrets_are_not_shown() -> None:
    text = st.shown("https://me:word@h/a.png?X-Amz-Signature=abc&X-Amz-Credential=AK&v=2&sv=2020&sig=zzz")
    assert text == "https://***@h/a.png?X-Amz-Signature=***&X-Amz-Credential=***&v=2&sv=2020&sig=***"
    assert st.shown("/a/b?sig=1") == "/a/b?sig=1"
    assert st.shown("s3://b/k?x") == "s3://b/k?x"


def test_importing_storage_loads_no_store_library() -> None:
    code = "import smalti.storage, sys; print([m for m in ('obstore', 'boto3', 'urllib.request', 'asyncio') if m in sys.modules])"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert "obstore" not in done.stdout
    assert "boto3" not in done.stdout
