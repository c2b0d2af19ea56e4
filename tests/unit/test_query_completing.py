"""What may come at the caret of a query."""

import pytest

from smalti.query import Completion, complete
from smalti.query.parse import parse


class Street:
    """The words of a few frames."""

    def labels(self) -> list[str]:
        return ["car", "person", "traffic light"]

    def meta_paths(self) -> list[str]:
        return ["meta.city", "meta.deep.n"]

    def values(self, field: str) -> list[str]:
        return {"meta.city": ["Bremen", "Bremen Nord", "Ulm"], "meta.deep.n": ["3"]}.get(field, [])


def texts(query: str, **options: object) -> list[str]:
    return [found.text for found in complete(query, words=Street(), **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "first", "start"),
    [
        ("label:ca", "car", 6),
        ("label:", "car", 6),
        ("roi.label.keyword:pe", "person", 18),
        ("mask.labels:(car AND pe", "person", 21),
        ("label:(car OR tr", '"traffic light"', 14),
        ('label:"traffic li', '"traffic light"', 6),
        ("(label:car AND NOT label:pe", "person", 25),
        ("meta.city:U", "Ulm", 10),
        ("meta.city:B", "Bremen", 10),
        ('NOT meta.city:"Bremen N', '"Bremen Nord"', 14),
        ("-meta.city:(Ulm OR Br", "Bremen", 19),
        ("meta.ci", "meta.city:", 0),
        ("car AND meta.d", "meta.deep.n:", 8),
        ("mask.car.s", "mask.car.share:", 0),
        ("mask.traffic", 'mask.label("traffic light").share:', 0),
        ('mask.label("traffic li', 'mask.label("traffic light").share:', 0),
        ("contex", "context_id:", 0),
        ("label:car AN", "AND", 10),
        ("label:car ", "AND", 10),
        ("label:kar", "car", 6),
    ],
)
def test_the_first_proposal(query: str, first: str, start: int) -> None:
    found = complete(query, words=Street())
    assert found, query
    assert (found[0].text, found[0].start, found[0].stop) == (first, start, len(query))


def test_the_caret_may_stand_inside() -> None:
    found = complete("label:ca AND meta.city:Ulm", 8, words=Street())
    assert found[0] == Completion("car", 6, 8, "label")
    assert complete("label:car", 99, words=Street()) == complete("label:car", 9, words=Street())


def test_a_source_query_has_its_own_fields() -> None:
    assert texts("ur", mode="source")[0] == "uri:"
    assert not {text for text in texts("", mode="source") if text.startswith(("meta.city", "label", "mask."))}


def test_without_words_the_fixed_fields_are_known() -> None:
    assert [found.text for found in complete("timest")] == ["timestamp:", "sources.timestamp:"] + [
        f"sources.{part}.timestamp:" for part in ("masks", "preview")
    ]
    assert complete("meta.city:x") == []


@pytest.mark.parametrize("query", ["la", "label:tr", "meta.c", "mask.tr", "meta.city:Bremen N", "(car AND meta.", "id"])
def test_what_is_proposed_can_be_read(query: str) -> None:
    for found in complete(query, words=Street()):
        text = query[: found.start] + found.text + ("1" if found.text.endswith(":") else "")
        if found.kind == "operator":
            continue
        parse(text + ")" * (text.count("(") - text.count(")")))


def test_any_text_will_do() -> None:
    for query in ['"', "'a", "((", "))", ":", "a:b:c", "\\", "[1 TO", "label:\\", "()", "\t", "a" * 5000]:
        complete(query, words=Street())
