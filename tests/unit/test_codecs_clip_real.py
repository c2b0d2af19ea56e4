"""Real clips: each with a trait that has misled other readers."""

import io
import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.clips import CountingFile

from smalti.codecs import film
from smalti.codecs.clip import Clip
from smalti.codecs.raster import Raster
from smalti.errors import DecodeError, TimestampError

pytestmark = pytest.mark.realdata

WHOLE = [
    "ffmpeg-python/in.mp4",
    "moviepy/big_buck_bunny_432_433.webm",
    "moviepy/bitmap.mp4",
    "moviepy/example_mask.mp4",
    "moviepy/transparent.webm",
    "mp4parse/h264_white_frame_sar_16_9.mp4",
    "mp4parse/metadata.mp4",
    "mp4parse/minimal.mp4",
    "mp4parse/tiny_av1.mp4",
    "mp4parse/video_colr_nclx_two_colr.mp4",
    "pyscenedetect/delayed_start.mp4",
    "torchcodec/h264_10bits.mp4",
    "torchcodec/h265_video.mp4",
]


@pytest.fixture(scope="module")
def videos(realdata: Path) -> Path:
    return realdata / "videos"


def rgb(raster: Raster) -> np.ndarray:
    """(H, W, 3) float RGB of 4:2:0 BT.601 video range, chroma repeated: enough to recognise a picture."""
    assert raster.planes is not None
    luma, blue, red = (plane.astype(float) for plane in raster.planes)
    height, width = luma.shape
    blue, red = (plane.repeat(2, 0).repeat(2, 1)[:height, :width] - 128 for plane in (blue, red))
    y = 1.164 * (luma - 16)
    return np.clip(np.stack([y + 1.596 * red, y - 0.392 * blue - 0.813 * red, y + 2.017 * blue], -1), 0, 255)


@pytest.mark.parametrize("name", WHOLE)
def test_luma_and_times_equal_pyavs_own_decode(videos: Path, name: str) -> None:
    data = (videos / name).read_bytes()
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.best("video")
        frames = [
            (float(frame.pts * frame.time_base * 1000), frame.reformat(format="gray16le").to_ndarray())
            if "10le" in frame.format.name
            else (float(frame.pts * frame.time_base * 1000), plane_of(frame))
            for frame in container.decode(stream)
        ]
    file = CountingFile(data)
    with Clip(data) as clip, Clip(file) as remote:
        assert np.allclose(clip.pts_ms, [moment for moment, _ in frames])
        assert np.array_equal(clip.pts_ms, remote.pts_ms)
        assert np.array_equal(clip.key_ms, remote.key_ms)
        sequence = list(clip.rasters())
        order = np.random.default_rng(0).permutation(len(frames))[:25].tolist()
        for number in order:
            for raster in (clip.at(frames[number][0]), remote.at(frames[number][0])):
                assert raster.planes is not None
                assert all(np.array_equal(a, b) for a, b in zip(raster.planes, sequence[number].planes, strict=True))
        if "10bits" not in name:
            assert all(
                np.array_equal(raster.planes[0], luma) for raster, (_, luma) in zip(sequence, frames, strict=True)
            )


def plane_of(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()


@pytest.mark.parametrize("number", [1, 2, 15, 16, 29, 30])
def test_counter_shows_the_number_that_its_png_shows(videos: Path, number: int) -> None:
    with Clip((videos / "pyscenedetect/counter.mp4").read_bytes()) as clip:
        assert clip.pts_ms.tolist() == [100.0 * n for n in range(30)]
        truth = np.asarray(Image.open(videos / f"pyscenedetect/counter/frame{number:03}.png").convert("RGB")).astype(
            float
        )
        near = {shown: clip.at(100 * (shown - 1)) for shown in {max(1, number - 1), number, min(30, number + 1)}}
        distance = {shown: float(np.abs(rgb(raster) - truth).mean()) for shown, raster in near.items()}
        assert min(distance, key=distance.__getitem__) == number, distance
        assert distance[number] < 2
        assert np.abs(rgb(clip.at(100 * (number - 1) + 49)) - truth).mean() < 2


def test_fire_has_a_variable_rate_and_is_turned(videos: Path) -> None:
    file = CountingFile((videos / "moviepy/fire2.mp4").read_bytes())
    with Clip(file) as clip:
        assert (len(clip), clip.size_hw, clip.codec) == (25, (720, 1280), "h264")
        assert file.touched.mean() < 0.1, "the index comes from the tables"
        assert clip.rotation == 180
        steps = np.diff(clip.pts_ms)
        assert steps.max() > 1.2 * steps.min()
        assert clip.at(300).size_hw == (720, 1280), "the rotation is not applied"
        middle = (clip.pts_ms[4] + clip.pts_ms[5]) / 2
        assert clip.at(middle - 0.01).pts_ms == clip.pts_ms[4]
        assert clip.at(middle + 0.01).pts_ms == clip.pts_ms[5]
        assert file.touched.mean() < 0.6


def test_delayed_start_counts_from_its_first_picture(videos: Path) -> None:
    with Clip((videos / "pyscenedetect/delayed_start.mp4").read_bytes()) as clip:
        assert (clip.first_ms, clip.last_ms, len(clip)) == (1075.0, 1995.0, 24)
        assert clip.at(1055).pts_ms == 1075.0
        with pytest.raises(TimestampError, match=r"1075\.000 to 1995\.000"):
            clip.at(0)
        assert clip.at(0, clamp=True).pts_ms == 1075.0
        with pytest.raises(TimestampError):
            clip.at(2015.1)


def test_nasa_is_read_from_the_larger_of_two_streams(videos: Path) -> None:
    truth = json.loads((videos / "torchcodec/nasa_13013.mp4.stream3.all_frames_info.json").read_text())
    seconds = [float(frame["pts_time"]) for frame in truth]
    file = CountingFile((videos / "torchcodec/nasa_13013.mp4").read_bytes())
    with Clip(file) as clip:
        assert (clip.size_hw, len(clip)) == ((270, 480), 390)
        assert np.allclose(clip.pts_ms, np.array(seconds) * 1000, atol=1e-3)
        assert file.touched.mean() < 0.2
        first = clip.at(1000)
        assert first.pts_ms == pytest.approx(1001.0, abs=0.5)
        assert file.touched.mean() < 0.5
        assert (first.matrix, first.full_range) == ("bt709", False)


def test_example_mask_has_seven_levels(videos: Path) -> None:
    with Clip((videos / "moviepy/example_mask.mp4").read_bytes()) as clip:
        assert (len(clip), clip.size_hw, clip.lossy) == (300, (200, 200), True)
        levels = sorted(set().union(*(np.unique(raster.planes[0]).tolist() for raster in clip.rasters())))
        with av.open(str(videos / "moviepy/example_mask.mp4")) as container:
            expected = sorted(
                set().union(*(np.unique(plane_of(frame)).tolist() for frame in container.decode(video=0)))
            )
        assert levels == expected
        greys = {min(255, max(0, (level - 16) * 255 // 219)) for level in levels}
        assert sorted(greys) == [0, 1, 2, 3, 252, 253, 255], "seven greys, as the clip is known for"


def test_ten_bits_are_rounded_to_eight(videos: Path) -> None:
    data = (videos / "torchcodec/h264_10bits.mp4").read_bytes()
    with av.open(io.BytesIO(data)) as container:
        frame = next(container.decode(video=0))
        plane = frame.planes[0]
        stored = np.frombuffer(plane, "<u2").reshape(plane.height, plane.line_size // 2)[:, : plane.width]
    raster = Clip(data).at(0)
    assert raster.planes is not None
    assert np.array_equal(raster.planes[0], np.minimum((stored.astype(int) + 2) // 4, 255))


def test_transparent_webm_keeps_its_alpha(videos: Path) -> None:
    with Clip((videos / "moviepy/transparent.webm").read_bytes()) as clip:
        raster = clip.at(1000)
        assert (clip.content_type, clip.codec, raster.mode) == ("video/webm", "vp9", "ycc")
        assert raster.alpha is not None
        assert raster.alpha.shape == (200, 200)
        assert 0 in raster.alpha
        assert raster.alpha.max() > 200


def test_the_header_of_a_segmented_stream_has_no_pictures(videos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = videos / "mp4parse/bipbop_480wp_1001kbps-cenc-video-key1-init.mp4"
    with pytest.raises(DecodeError, match="lists no pictures"):
        Clip(path.read_bytes(), uri="init.mp4")
    assert capfd.readouterr() == ("", "")


def test_every_beginning_of_a_real_clip_is_decoded_or_refused(videos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = (videos / "mp4parse/minimal.mp4").read_bytes()
    refused = 0
    for length in range(0, len(data), 37):
        try:
            with Clip(data[:length]) as clip:
                clip.at(clip.last_ms)
        except DecodeError:
            refused += 1
    assert refused > 20
    assert capfd.readouterr() == ("", "")


def test_only_what_is_shown_is_fetched(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "BUFFER_BYTES", 4096)
    file = CountingFile((videos / "ffmpeg-python/in.mp4").read_bytes())
    with Clip(file) as clip:
        assert file.touched.mean() < 0.1
        clip.at(clip.key_ms[2])
        assert file.touched.mean() < 0.15, "one key frame more"
