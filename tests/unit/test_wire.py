"""JSON ⇄ records: every dialect in, one canonical form out, nothing lost, errors with a path."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from smalti import wire
from smalti.errors import FrameError
from smalti.reading import read_frames
from smalti.records import Frame, Mask, RoiMask, Source
from smalti.testing import strategies

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "frames"


@pytest.mark.parametrize("name", ["documented-1.json", "documented-2.closed.json"])
def test_documented_examples_come_back_as_written(name: str) -> None:
    text = (GOLDEN / name).read_bytes()
    assert json.loads(wire.dump(wire.load(text))) == json.loads(text)


def test_documented_example_2_as_published_is_a_clear_error() -> None:
    text = (GOLDEN / "documented-2.as-published.json").read_bytes()
    with pytest.raises(FrameError, match=r"line 1, column 11: .*put \{ before it and \} after it"):
        wire.load(text, where="example 2")


def test_dialects_are_read_and_one_is_written() -> None:
    found = wire.load(
        """{"id": 7, "timestamp": 33.0, "sources": [{"id": 1, "uri": "a.mp4", "width": 8.0, "preview": "p.jpg",
            "masks": [{"id": 3, "uri": "m.png", "content_type": "png"}]}],
            "rois": [{"labels": "car", "sources": 1, "mask": {"id": 3, "value": [1.0, 2, -1]}},
                     {"label": ["car"], "labels": ["car", "van"], "poly": [[0, 0], [1, 0], [1, 1]]},
                     {"label": "x", "poly": [[0, 0, 1, 0, 1, 1], [5, 5, 6, 5, 6, 6]]}]}"""
    )
    assert found.id == "7"
    assert found.timestamp == 33
    assert found.sources[0].id == "1"
    assert found.sources[0].width == 8
    assert found.sources[0].preview is not None
    assert found.sources[0].masks[0] == Mask(id="3", uri="m.png", content_type="png")
    assert found.rois[0].mask == RoiMask(id="3", value=[1, 2, -1])
    assert found.rois[0].sources == ["1"]
    assert found.rois[1].label == ["car", "van"]
    assert found.rois[1].poly == [0, 0, 1, 0, 1, 1]
    assert found.rois[2].poly == [0, 0, 1, 0, 1, 1, -999999999, 5, 5, 6, 5, 6, 6]
    assert "labels" not in json.loads(wire.dump(found))["rois"][0]


def test_unknown_keys_stay_where_they_were() -> None:
    text = (
        '{"sources":[{"id":"a","uri":"u","zoom":2,"masks":[{"id":"m","uri":"v","q":[1]}]}],'
        '"rois":[{"label":["c"],"mask":{"id":"m","value":[1,2,3],"soft":true},"area":5}],"extra":{"mine":1},"saved":9}'
    )
    found = wire.load(text)
    assert json.loads(wire.dump(found)) == json.loads(text)
    assert wire.load(wire.dump(found)) == found


@given(strategies.frames())
def test_dump_then_load_is_the_identity(frame: Frame) -> None:
    assert wire.load(wire.dump(frame)) == frame
    assert wire.from_dict(wire.to_dict(frame)) == frame


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ('{"sources":[{"id":"a","uri":5}]}', "$.sources[0].uri", "Expected `str`, got `int`"),
        ('{"sources":[]}', "$.sources", "at least one source"),
        ("{}", "$", "missing required field `sources`"),
        ("[]", "$", "Expected `object`"),
        ('{"sources":[{"id":"a","uri":"u"},{"id":"a","uri":"v"}]}', "$.sources[1].id", "has already"),
        (
            '{"sources":[{"id":"a","uri":"u","masks":[{"id":1,"uri":"x"},{"id":"1","uri":"y"}]}]}',
            "$.sources[0].masks[1].id",
            "already",
        ),
        (
            '{"sources":[{"id":"a","uri":"u"}],"rois":[{"sources":["b"]}]}',
            "$.rois[0].sources[0]",
            "the frame has sources 'a'",
        ),
        (
            '{"sources":[{"id":"a","uri":"u"}],"rois":[{},{"mask":{"id":"m","value":[1,2,300]}}]}',
            "$.rois[1].mask.value",
            "0..255",
        ),
        (
            '{"sources":[{"id":"a","uri":"u"}],"rois":[{"mask":{"id":"m","value":[1,2.5,3]}}]}',
            "$.rois[0].mask.value[1]",
            "int",
        ),
        ('{"sources":[{"id":"a","uri":"u"}],"rois":[{"label":[3]}]}', "$.rois[0].label[0]", "Expected `str`"),
        ('{"sources":[{"id":"a","uri":"u","width":2.5}]}', "$.sources[0].width", "int"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text: str, path: str, said: str) -> None:
    with pytest.raises(FrameError) as caught:
        wire.load(text, where="bad.json")
    assert caught.value.path == path
    assert said in str(caught.value)
    assert str(caught.value).startswith("bad.json: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the text is empty"),
        ('{"sources":[{"id":"a"', "a bracket or brace seems to be missing"),
        ('{"sources":\n[{"id":"a",}]}', "line 2, column 12"),
        ("[" * 100_000, "nested too deeply"),
        (b'{"sources":[{"id":"\xff","uri":"u"}]}', "UTF-8"),
        ('{"sources":[{"id":"a","uri":"u","timestamp":NaN}]}', "line 1, column"),
    ],
)
def test_text_that_is_no_json_is_told_with_its_place(text: str | bytes, said: str) -> None:
    with pytest.raises(FrameError, match=r"bad\.json: ") as caught:
        wire.load(text, where="bad.json")
    assert said in str(caught.value)


def test_lines_are_named_by_their_number() -> None:
    good = b'{"sources":[{"id":"a","uri":"u"}]}\n'
    with pytest.raises(FrameError, match=r"x\.jsonl:3"):
        list(wire.load_lines([good, b"\n", b"{}\n"], where="x.jsonl"))


def test_stable_ids_follow_from_what_tells_pictures_apart() -> None:
    def frame(uri: str, at_ms: int, context: str | None = None) -> Frame:
        return Frame(sources=[Source(id="a", uri=uri, timestamp=at_ms)], context_id=context)

    ids = {
        wire.stable_id(f) for f in (frame("c.mp4", 0), frame("c.mp4", 33), frame("d.mp4", 0), frame("c.mp4", 0, "x"))
    }
    assert len(ids) == 4
    assert wire.stable_id(frame("c.mp4", 33)) == wire.stable_id(frame("c.mp4", 33))
    assert all(len(i) == 32 and int(i, 16) >= 0 for i in ids)


def test_text_of_other_kinds(tmp_path: Path) -> None:
    text = b'{"sources":[{"id":"a","uri":"x.png"}]}'
    marked = b"\xef\xbb\xbf" + text
    assert wire.load(marked).sources[0].id == "a"
    (tmp_path / "f.jsonl").write_bytes(marked + b"\r\n" + text + b"\r\n")
    assert len(list(read_frames(tmp_path / "f.jsonl"))) == 2
    with pytest.raises(FrameError, match="UTF-8"):
        wire.load(text.decode().encode("utf-16"))
    with pytest.raises(FrameError, match="smalti import"):
        wire.load(b"\x89PNG\r\n\x1a\n\0\0")
