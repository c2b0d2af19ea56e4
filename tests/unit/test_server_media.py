"""Conditions, ranges and encodings: 200, 206, 304, 412, 416, whatever the route."""

import gzip
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from smalti.server.media import Media, conditional, negotiate
from smalti.server.problems import Refusal

BODY = bytes(range(256)) * 8


def ask(headers: dict[str, str] | None = None, *, compress: bool = False, h: str | None = None) -> Any:
    request = SimpleNamespace(headers=headers or {}, query_params={"h": h} if h else {})
    return conditional(request, Media(BODY, "application/octet-stream", "abc", compress=compress))


def test_a_plain_request_gets_everything() -> None:
    answer = ask()
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["ETag"] == '"abc"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("tag", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
def test_who_has_it_is_told_so(tag: str) -> None:
    answer = ask({"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == '"abc"'


def test_who_has_another_gets_it() -> None:
    assert ask({"if-none-match": '"abd"'}).status_code == 200
    assert ask({"if-match": '"abc"'}).status_code == 200


@pytest.mark.parametrize("tag", ['"abd"', 'W/"abc"'])
def test_if_match_with_another_state_is_412(tag: str) -> None:
    with pytest.raises(Refusal) as caught:
        ask({"if-match": tag})
    assert caught.value.problem.status == 412


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, 2048),
        ("bytes=-5", 2043, 2048),
        ("bytes=2000-9999", 2000, 2048),
        ("bytes=-9999", 0, 2048),
    ],
)
def test_ranges(asked: str, start: int, stop: int) -> None:
    answer = ask({"range": asked})
    assert (answer.status_code, answer.content) == (206, BODY[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/2048"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=9-3", "bytes=a-b"])
def test_ranges_that_mean_nothing_are_ignored(asked: str) -> None:
    assert ask({"range": asked}).status_code == 200


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=-0"])
def test_ranges_outside_are_416(asked: str) -> None:
    with pytest.raises(Refusal) as caught:
        ask({"range": asked})
    assert caught.value.problem.status == 416
    assert caught.value.headers["Content-Range"] == "bytes */2048"


def test_if_range_of_another_content_gets_everything() -> None:
    assert ask({"range": "bytes=0-9", "if-range": '"old"'}).status_code == 200
    assert ask({"range": "bytes=0-9", "if-range": '"abc"'}).status_code == 206


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip, br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0, gzip", "gzip"),
        ("gzip;q=0.5, br;q=0.1", "gzip"),
        ("identity", "identity"),
        ("*", "zstd"),
        ("identity;q=1, gzip;q=0.5", "identity"),
    ],
)
def test_the_encoding_that_is_chosen(accept: str, chosen: str) -> None:
    assert negotiate(accept) == chosen


def test_no_encoding_at_all_is_406() -> None:
    with pytest.raises(Refusal) as caught:
        negotiate("identity;q=0")
    assert caught.value.problem.status == 406


def test_each_encoding_has_its_own_tag_and_says_what_it_depends_on() -> None:
    unpack = {
        "zstd": lambda data: pa.Codec("zstd").decompress(data, len(BODY), asbytes=True),
        "br": lambda data: pa.Codec("brotli").decompress(data, len(BODY), asbytes=True),
        "gzip": gzip.decompress,
        "identity": lambda data: data,
    }
    tags = set()
    for name, open_ in unpack.items():
        answer = ask({"accept-encoding": name}, compress=True)
        assert open_(answer.content) == BODY
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers.get("Content-Encoding", "identity") == name
        tags.add(answer.headers["ETag"])
        again = ask({"accept-encoding": name, "if-none-match": answer.headers["ETag"]}, compress=True)
        assert again.status_code == 304
    assert len(tags) == 4


def test_only_a_url_that_names_the_content_may_be_kept_forever() -> None:
    assert "immutable" in ask(h="abc").headers["Cache-Control"]
    assert "immutable" not in ask(h="old").headers["Cache-Control"]
