"""JSON Patch by the examples of RFC 6902's appendix, and by what must not work."""

from typing import Any

import msgspec
import pytest

from smalti.server.jsonpatch import apply_patch
from smalti.server.payloads.frames import Operation
from smalti.server.problems import Refusal


def patched(document: Any, *operations: dict[str, Any]) -> Any:
    return apply_patch(document, msgspec.convert(list(operations), list[Operation]))


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"foo": "bar", "baz": "qux"}),
        ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "q"}], {"foo": ["bar", "q", "baz"]}),
        ({"baz": 1, "foo": 2}, [{"op": "remove", "path": "/baz"}], {"foo": 2}),
        ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/1"}], {"foo": [1, 3]}),
        ({"baz": 1}, [{"op": "replace", "path": "/baz", "value": 2}], {"baz": 2}),
        (
            {"foo": {"a": 1}, "qux": {}},
            [{"op": "move", "from": "/foo/a", "path": "/qux/b"}],
            {"foo": {}, "qux": {"b": 1}},
        ),
        ({"foo": [1, 2, 3, 4]}, [{"op": "move", "from": "/foo/1", "path": "/foo/3"}], {"foo": [1, 3, 4, 2]}),
        (
            {"a": [1]},
            [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/-", "value": 2}],
            {"a": [1], "b": [1, 2]},
        ),
        ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["x"]}], {"foo": ["bar", ["x"]]}),
        (
            {"/": 9, "~1": 10},
            [{"op": "test", "path": "/~01", "value": 10}, {"op": "test", "path": "/~1", "value": 9}],
            {"/": 9, "~1": 10},
        ),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
        ({"a": None}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
    ],
)
def test_examples(document: Any, operations: list[dict[str, Any]], expected: Any) -> None:
    assert patched(document, *operations) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/none/deep", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/-1", "value": 1},
        {"op": "add", "path": "list", "value": 1},
        {"op": "add", "path": "/list"},
        {"op": "move", "path": "/x"},
        {"op": "move", "from": "/map", "path": "/map/inner"},
        {"op": "remove", "path": "/text/0"},
    ],
)
def test_what_cannot_be_done(operation: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        patched({"list": [1], "map": {}, "text": "abc"}, operation)
    assert caught.value.problem.status == 422
    assert caught.value.problem.path == "$.patch[0]"


@pytest.mark.parametrize(("value", "same"), [(1, True), (1.0, True), (True, False), ("1", False), (2, False)])
def test_a_test_that_fails_refuses_all(value: Any, same: bool) -> None:
    operations = [{"op": "test", "path": "/a", "value": value}, {"op": "remove", "path": "/a"}]
    if same:
        assert patched({"a": 1}, *operations) == {}
    else:
        with pytest.raises(Refusal) as caught:
            patched({"a": 1}, *operations)
        assert caught.value.problem.status == 409


def test_the_document_given_is_not_changed() -> None:
    document = {"a": [1, {"b": 2}]}
    patched(document, {"op": "add", "path": "/a/1/c", "value": 3})
    assert document == {"a": [1, {"b": 2}]}
