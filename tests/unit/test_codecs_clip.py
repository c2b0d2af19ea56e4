"""Clips whose pictures carry their own number: every answer is checked against the picture that must come."""

import io
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clips import CountingFile, encode, number_of, numbered

from smalti.codecs import film
from smalti.codecs.clip import Clip
from smalti.codecs.clipindex import ClipIndex
from smalti.codecs.limits import Limits
from smalti.errors import DecodeError, TimestampError, UnknownContentType

PICTURES = 40
VFR_MS = [0, 40, 45, 120, 500, 510, 900, 1000, 1033, 1066, 1100, 3000]
X264 = {"g": "8", "bf": "3", "crf": "10"}


@cache
def flat(container: str = "mp4", codec: str = "libx264", pixels: str = "yuv420p", **options: str) -> bytes:
    """A clip of PICTURES numbered pictures; the same bytes for the same words."""
    return encode(
        (numbered(number) for number in range(PICTURES)),
        container=container,
        codec=codec,
        pixels=pixels,
        options={name.replace("_", "-"): value for name, value in options.items()},
    )


MAKERS: dict[str, Callable[[], bytes]] = {
    "b_frames": lambda: flat(**X264),
    "open_gop": lambda: flat(**X264, x264_params="open-gop=1:scenecut=0"),
    "every_key": lambda: flat(g="1"),
    "short_gops": lambda: flat(x264_params="keyint=3:b-adapt=0:bframes=2:scenecut=0"),
    "matroska": lambda: flat("matroska", **X264),
    "avi": lambda: flat("avi", **X264),
    "transport_stream": lambda: flat("mpegts", **X264),
    "hevc_open_gop": lambda: flat(
        codec="libx265", x265_params="keyint=8:min-keyint=8:open-gop=1:scenecut=0:bframes=3:crf=10:log-level=none"
    ),
    "vp8_hidden": lambda: flat("webm", "libvpx", auto_alt_ref="1", lag_in_frames="16", b="1M", g="24"),
    "vp9_hidden": lambda: flat(
        "webm", "libvpx-vp9", auto_alt_ref="1", lag_in_frames="16", b="1M", g="24", cpu_used="8"
    ),
    "ffv1": lambda: flat("matroska", "ffv1", "bgr0", g="5"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_picture_is_the_right_one_in_order_and_in_any_order(name: str) -> None:
    with Clip(MAKERS[name]()) as clip:
        assert len(clip) == PICTURES
        assert [number_of(raster) for raster in clip.rasters()] == list(range(PICTURES))
        for number in np.random.default_rng(7).permutation(PICTURES).tolist():
            raster = clip.at(clip.pts_ms[number])
            assert number_of(raster) == number
            assert raster.pts_ms == clip.pts_ms[number]


@pytest.mark.parametrize("name", ["b_frames", "open_gop", "hevc_open_gop", "matroska", "vp9_hidden"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, PICTURES - 1), min_size=1, max_size=12), many=st.booleans())
def test_any_order_of_requests_gives_the_planes_of_a_sequential_decode(name: str, order: list[int], many: bool) -> None:
    data = MAKERS[name]()
    truth = sequential(data)
    with Clip(data) as clip:
        moments = clip.pts_ms[order].tolist()
        rasters = clip.at_many(moments) if many else [clip.at(moment) for moment in moments]
    for number, raster in zip(order, rasters, strict=True):
        assert raster.planes is not None
        for plane, expected in zip(raster.planes, truth[number], strict=True):
            assert np.array_equal(plane, expected)


@cache
def sequential(data: bytes) -> list[list[np.ndarray]]:
    """Planes of every frame by PyAV alone."""
    with av.open(io.BytesIO(data)) as container:
        return [
            [
                np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()  # type: ignore[call-overload]
                for plane in frame.planes
            ]
            for frame in container.decode(video=0)
        ]


def test_the_index_equals_the_presentation_times_that_pyav_decodes() -> None:
    for name, maker in MAKERS.items():
        data = maker()
        with av.open(io.BytesIO(data)) as container:
            expected = [float(frame.pts * frame.time_base * 1000) for frame in container.decode(video=0)]
        shift = expected[0] if name == "avi" else 0  # an AVI counts from its first picture
        assert np.allclose(Clip(data).pts_ms, np.array(expected) - shift, atol=1e-9), name


def test_variable_frame_rate_takes_the_nearest_picture_and_the_earlier_of_two() -> None:
    data = encode([numbered(n) for n in range(len(VFR_MS))], pts_ms=VFR_MS, options={"bf": "2"})
    with Clip(data) as clip:
        assert clip.pts_ms.tolist() == VFR_MS
        cases = {
            0: 0,
            19: 0,
            20: 0,
            21: 1,
            42.5: 1,
            42.6: 2,
            300: 3,
            310: 3,
            310.5: 4,
            505: 4,
            1016.5: 7,
            1017: 8,
            2050: 10,
        }
        assert {moment: number_of(clip.at(moment)) for moment in cases} == cases
        assert clip.resolve_pts(310) == 120.0


def test_33_ms_at_30_a_second_is_the_second_picture() -> None:
    clip = Clip(encode([numbered(n) for n in range(4)], rate=30))
    assert number_of(clip.at(33)) == 1
    assert clip.at(33).pts_ms == pytest.approx(100 / 3)
    assert clip.resolve_pts(50) == pytest.approx(100 / 3), "33.3 and 66.7 are equally near: the earlier one"


def test_a_late_start_counts_on_the_clips_own_clock() -> None:
    data = encode([numbered(n) for n in range(6)], pts_ms=[1000 + 40 * n for n in range(6)])
    with Clip(data) as clip:
        assert (clip.first_ms, clip.last_ms) == (1000.0, 1200.0)
        assert [number_of(clip.at(moment)) for moment in (980, 1000, 1190, 1220)] == [0, 0, 5, 5]
        with pytest.raises(TimestampError, match=r"1000\.000 to 1200\.000 ms") as caught:
            clip.at(0)
        assert (caught.value.at_ms, caught.value.first_ms, caught.value.last_ms) == (0.0, 1000.0, 1200.0)
        assert number_of(clip.at(0, clamp=True)) == 0
        assert number_of(clip.at(9e9, clamp=True)) == 5


def test_an_edit_list_that_cuts_the_start_hides_what_it_cuts() -> None:
    """Times are moved by -200 ms and the muxer writes an edit list: five pictures are decoded and never shown."""
    source = io.BytesIO(flat(g="50", bf="2"))
    target = io.BytesIO()
    with av.open(source) as given_clip, av.open(target, "w", format="mp4") as output:
        stream = output.add_stream_from_template(given_clip.streams.video[0])
        for packet in given_clip.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts = packet.pts - 2560, packet.dts - 2560
                packet.stream = stream
                output.mux(packet)
    with av.open(io.BytesIO(target.getvalue())) as container:
        shown = [float(frame.pts * frame.time_base * 1000) for frame in container.decode(video=0)]
    for data in (target.getvalue(), CountingFile(target.getvalue())):
        with Clip(data) as clip:
            assert clip.pts_ms.tolist() == shown
            assert len(clip) < PICTURES, "the test needs a cut"
            first = PICTURES - len(clip)
            assert [number_of(raster) for raster in clip.rasters()] == list(range(first, PICTURES))
            assert number_of(clip.at(clip.last_ms)) == PICTURES - 1
            assert number_of(clip.at(0)) == first


def test_many_comes_in_the_order_asked_and_repeats_one_picture() -> None:
    with Clip(flat(**X264)) as clip:
        asked = [30, 2, 2, 39, 0, 30]
        rasters = clip.at_many(clip.pts_ms[asked])
        assert [number_of(raster) for raster in rasters] == asked
        assert rasters[1] is rasters[2]
        assert clip.at_many([]) == []
        with pytest.raises(TimestampError):
            clip.at_many([0, 99_999])


def test_many_feeds_each_packet_to_the_decoder_at_most_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []
    feed = film.Run._feed
    monkeypatch.setattr(film.Run, "_feed", lambda run, wanted: (fed.append(wanted), feed(run, wanted))[1])
    with Clip(flat(**X264)) as clip:
        clip.at_many(clip.pts_ms[::-1])
        assert len(fed) <= PICTURES + 1
        fed.clear()
        clip.at(clip.pts_ms[20])
        clip.at(clip.pts_ms[21])
        clip.at(clip.pts_ms[21])
        assert len(fed) <= 8 + 8 + 4, "from the key frame, then forward, then nothing"


def test_rasters_leaves_the_clips_own_decoder_alone() -> None:
    with Clip(flat(**X264)) as clip:
        for number, raster in enumerate(clip.rasters()):
            assert number_of(raster) == number
            assert number_of(clip.at(clip.pts_ms[-1 - number])) == PICTURES - 1 - number


@pytest.mark.parametrize("name", ["b_frames", "every_key"])
def test_only_a_part_of_an_mp4_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "BUFFER_BYTES", 1024)
    data = MAKERS[name]()
    file = CountingFile(data)
    clip = Clip(file, uri="https://example.org/mask.mp4")
    share = file.touched.mean()
    assert share < 0.35, "the tables and the first picture"
    assert number_of(clip.at(clip.last_ms)) == PICTURES - 1
    assert file.touched.mean() < 0.6
    clip.close()
    assert not file.closed
    assert np.array_equal(Clip(data).pts_ms, clip.pts_ms)


def test_fragments_are_indexed_without_their_pictures() -> None:
    data = encode(
        (numbered(n) for n in range(PICTURES)),
        options=X264,
        container_options={"movflags": "frag_keyframe+empty_moov"},
    )
    for form in (data, CountingFile(data)):
        with Clip(form) as clip:
            assert [number_of(clip.at(moment)) for moment in clip.pts_ms[::-1]] == list(range(PICTURES))[::-1]


class FailingFile(CountingFile):
    """Loses its connection on demand."""

    broken = False

    def read(self, count: int | None = -1) -> bytes:
        if self.broken:
            raise ConnectionResetError("the store hung up")
        return super().read(count)


def test_the_error_of_a_file_is_passed_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(film, "BUFFER_BYTES", 1024)
    file = FailingFile(flat(**X264))
    clip = Clip(file)
    file.broken = True
    with pytest.raises(ConnectionResetError, match="hung up"):
        clip.at(clip.last_ms)
    assert capfd.readouterr() == ("", "")
    file.broken = False
    assert number_of(clip.at(clip.last_ms)) == PICTURES - 1, "and the clip is of use again"
    file = FailingFile(flat(**X264))
    file.broken = True
    with pytest.raises(ConnectionResetError, match="hung up"):
        Clip(file)


def test_a_clip_cut_short_says_so_and_gives_what_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    whole = encode((numbered(n) for n in range(PICTURES)), options=X264, container_options={"moov_size": "20000"})
    cut = whole[: 20_000 + (len(whole) - 20_000) // 2]
    for form in (cut, io.BytesIO(cut)):
        clip = Clip(form, uri="s3://bucket/half.mp4")
        assert 0 < len(clip) < PICTURES
        assert any("40 pictures" in note for note in clip.notes)
        assert number_of(clip.at(0)) == 0
        with pytest.raises(DecodeError, match=r"s3://bucket/half\.mp4: the picture at .* cannot be decoded") as caught:
            list(clip.rasters())
        assert caught.value.uri == "s3://bucket/half.mp4"
        assert number_of(clip.at(0)) == 0, "and is of use afterwards"
    with pytest.raises(DecodeError, match="damaged, cut short"):
        Clip(whole[:700])
    assert capfd.readouterr() == ("", ""), "FFmpeg keeps quiet"


def test_garbage_gives_clear_errors(capfd: pytest.CaptureFixture[str]) -> None:
    whole = flat(**X264)
    rng = np.random.default_rng(5)
    outcomes = set()
    for trial in range(40):
        broken = np.frombuffer(whole, np.uint8).copy()
        end = len(broken) if trial % 2 else 2000
        broken[rng.integers(40, end, 12)] = rng.integers(0, 256, 12)
        try:
            with Clip(broken.tobytes()) as clip:
                clip.at_many(clip.pts_ms[::-9], clamp=True)
            outcomes.add("decoded")
        except DecodeError:
            outcomes.add("refused")
    assert outcomes == {"decoded", "refused"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"\x89PNG\r\n\x1a\n" + bytes(99)]
)
def test_what_is_no_clip_is_refused_before_ffmpeg_sees_it(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film.av, "open", None)
    with pytest.raises(UnknownContentType, match="a clip is needed"):
        Clip(data, content_type="video/mp4")


def test_a_container_may_not_open_other_files() -> None:
    with pytest.raises(PermissionError):
        film._refuse_open("file:///etc/passwd", 0, {})


def test_the_bytes_decide_and_a_wrong_type_is_noted() -> None:
    clip = Clip(flat(**X264), content_type="webm")
    assert clip.content_type == "video/mp4"
    assert any("video/webm" in note for note in clip.at(0).notes)
    assert Clip(flat(**X264), content_type="mp4").notes == ()
    assert Clip(flat("matroska", **X264)).content_type == "video/x-matroska"


def test_a_film_of_jpegs_is_one_only_when_announced() -> None:
    data = encode((numbered(n) for n in range(5)), container="mjpeg", codec="mjpeg", pixels="yuvj420p")
    with pytest.raises(UnknownContentType):
        Clip(data)
    clip = Clip(data, content_type="video/x-mjpeg")
    raster = clip.at(clip.last_ms)
    assert (len(clip), number_of(raster), raster.full_range, raster.lossy) == (5, 4, True, True)


def test_the_limit_of_pixels_is_kept() -> None:
    data = flat(**X264)
    with pytest.raises(DecodeError, match="6144 pixels, the limit is 6143"):
        Clip(data, limits=Limits(max_pixels=64 * 96 - 1))
    assert len(Clip(data, limits=Limits(max_pixels=64 * 96))) == PICTURES


def test_a_clip_belongs_to_one_process_and_ends_with_close(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = Clip(flat(**X264))
    raster = clip.at(0)
    with pytest.raises(TypeError, match="open it again"):
        pickle.dumps(clip)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="another process"):
            clip.at(0)
    clip.close()
    clip.close()
    with pytest.raises(ValueError, match="closed"):
        clip.at(0)
    with pytest.raises(ValueError, match="closed"):
        next(clip.rasters())
    assert number_of(raster) == 0, "pictures outlive their clip"
    assert repr(clip).startswith("Clip(h264 64×96, 40 pictures")


def test_without_presentation_times_pictures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No muxer here leaves them out, so the index is told that this one did."""
    build = ClipIndex.build
    monkeypatch.setattr(
        film.ClipIndex,
        "build",
        lambda coded, tick, has_clock=True: build([replace(item, pts=None) for item in coded], tick, has_clock=False),
    )
    with Clip(flat(**X264)) as clip:
        assert clip.pts_ms.tolist() == [40.0 * n - 80 for n in range(PICTURES)], "the decoding times"
        assert [number_of(clip.at(40 * n - 80)) for n in (30, 3, 39, 4, 5)] == [30, 3, 39, 4, 5]


def test_rotation_is_reported_clockwise_and_never_applied() -> None:
    for turn, clockwise in ((-90, 90), (90, 270), (180, 180)):
        clip = Clip(encode((numbered(n) for n in range(3)), rotation=turn))
        assert (clip.rotation, clip.at(0).rotation, clip.at(0).size_hw) == (clockwise, clockwise, (64, 96))


def test_threads_share_a_clip() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Clip(CountingFile(flat(**X264))) as clip, ThreadPoolExecutor(4) as pool:
        order = np.random.default_rng(3).integers(0, PICTURES, 60).tolist()
        assert list(pool.map(lambda n: number_of(clip.at(40 * n)), order)) == order
