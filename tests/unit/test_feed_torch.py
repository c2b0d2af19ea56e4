"""Views in PyTorch: the pixels are right, every frame comes once, and a token goes on exactly where it was."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti.errors import DecodeError, QueryError
from smalti.feed.arrays import batches, to_huggingface, write_webdataset

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from smalti.feed.torch import MapDataset, StreamDataset, loader  # noqa: E402

RED, GREEN = (200, 0, 0), (0, 200, 0)


@pytest.fixture
def view(tmp_path: Path) -> sm.DataView:
    frames = []
    for number in range(12):
        mask = np.zeros((20, 30, 3), np.uint8)
        mask[:, :10] = RED
        mask[:, 10:20] = GREEN
        mask[0, 0] = (number, 1, 1)
        image = np.full((20, 30, 3), number, np.uint8)
        image[:, :10, 1] = 99
        Image.fromarray(mask).save(tmp_path / f"m{number}.png")
        Image.fromarray(image).save(tmp_path / f"i{number}.png")
        frame = sm.SingleFrame(
            str(tmp_path / f"i{number}.png"),
            id=f"f{number:02d}",
            context_id="c",
            mask_source=str(tmp_path / f"m{number}.png"),
        )
        frame.add_annotation(mask_rgb=RED, labels=["car"])
        frame.add_annotation(mask_rgb=GREEN, labels=["truck"])
        frames.append(frame)
    return sm.DataView(frames).map_labels({"car": 1, "truck": 1}, void=255)


def numbers(batch: object) -> list[int]:
    return batch[0][:, 0, 0, 0].tolist()  # type: ignore[index]


def test_pixels_and_classes_are_those_of_the_files(view: sm.DataView) -> None:
    image, mask = MapDataset(view)[3]
    assert (image.shape, image.dtype) == ((3, 20, 30), torch.uint8)
    assert (mask.shape, mask.dtype) == ((20, 30), torch.int64)
    assert image[1, 5, 5] == 99
    truth = torch.full((20, 30), 255)
    truth[:, :20] = 1
    truth[0, 0] = 255
    assert torch.equal(mask.as_subclass(torch.Tensor), truth)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_frame_comes_once_whatever_the_workers(view: sm.DataView, workers: int) -> None:
    feed = loader(view, batch_size=5, workers=workers)
    got = [numbers(batch) for batch in feed]
    assert got == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    assert len(feed) == 3


def test_a_token_goes_on_with_other_ranks_and_none_comes_twice(view: sm.DataView) -> None:
    view.set_iteration_parameters(order="random", random_seed=5)
    feed = loader(view, batch_size=2)
    seen: list[int] = []
    for batch in feed:
        seen += numbers(batch)
        if len(seen) == 6:
            break
    token = feed.state()
    rest = [
        n
        for rank in range(3)
        for batch in loader(view, batch_size=1, resume=token, rank=rank, ranks=3)
        for n in numbers(batch)
    ]
    assert len(rest) == 6
    assert sorted(seen + rest) == list(range(12))
    again = [n for batch in loader(view, batch_size=4, resume=token) for n in numbers(batch)]
    assert seen + again == [n for batch in loader(view, batch_size=4) for n in numbers(batch)]


def test_a_token_of_another_view_is_refused(view: sm.DataView) -> None:
    token = loader(view, batch_size=2).state()
    view.set_iteration_parameters(order="random", random_seed=6)
    with pytest.raises(QueryError, match="have changed"):
        loader(view, batch_size=2, resume=token)


def test_the_token_counts_what_was_delivered_not_what_was_read_ahead(view: sm.DataView) -> None:
    feed = loader(view, batch_size=2, workers=1, prefetch_factor=4)
    first = next(iter(feed))
    assert numbers(first) == [0, 1]
    assert [n for batch in loader(view, batch_size=12, resume=feed.state()) for n in numbers(batch)] == list(
        range(2, 12)
    )


def test_windows_are_the_same_for_image_and_mask_and_repeat(view: sm.DataView) -> None:
    one = list(loader(view, batch_size=4, crop=(8, 9), seed=3))
    two = list(loader(view, batch_size=4, crop=(8, 9), seed=3))
    for (image, mask), (other, same) in zip(one, two, strict=True):
        assert torch.equal(image, other)
        assert torch.equal(mask, same)
        assert image.shape[2:] == (8, 9)
        # Where the image is marked, the mask says car or truck, but for the one odd pixel.
        assert (mask[image[:, 1] == 99] == 255).sum() <= len(image)
    outside = next(iter(loader(view, batch_size=1, crop=(30, 40))))
    assert (outside[1][0, 20:] == 255).all()
    assert (outside[0][0, :, 20:] == 0).all()


def test_class_aware_windows_hit_their_class_more_often(view: sm.DataView, tmp_path: Path) -> None:
    mask = np.zeros((200, 200, 3), np.uint8)
    mask[190:, 190:] = RED
    Image.fromarray(mask).save(tmp_path / "rare.png")
    frame = sm.SingleFrame(str(tmp_path / "rare.png"), id="rare", mask_source=str(tmp_path / "rare.png"))
    frame.add_annotation(mask_rgb=RED, labels=["car"])
    rare = sm.DataView([frame]).map_labels({"car": 1})

    def hits(**options: object) -> int:
        return sum(bool((MapDataset(rare, crop=(20, 20), seed=s, **options)[0][1] == 1).any()) for s in range(40))

    assert hits(crop_on="car") > hits() + 8


def test_failures_raise_or_are_skipped_and_listed(view: sm.DataView, tmp_path: Path) -> None:
    (tmp_path / "m4.png").write_bytes(b"broken")
    with pytest.raises(DecodeError, match=r"m4\.png"):
        list(loader(view, batch_size=4))
    feed = loader(view, batch_size=4, on_error="skip")
    assert [n for batch in feed for n in numbers(batch)] == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    assert [(f.frame_id, f.position) for f in feed.failed] == [("f04", 4)]
    assert feed.state() == loader(view, batch_size=12, resume=feed.state()).state()


def test_pictures_of_several_sizes_need_a_crop(view: sm.DataView, tmp_path: Path) -> None:
    for name in ("i1.png", "m1.png"):
        Image.fromarray(np.zeros((7, 7, 3), np.uint8)).save(tmp_path / name)
    with pytest.raises(DecodeError, match="give crop"):
        list(loader(view, batch_size=4))


def test_a_stream_is_dealt_to_ranks(view: sm.DataView) -> None:
    got = [[int(image[0, 0, 0]) for image, _ in StreamDataset(view, rank=rank, ranks=2)] for rank in range(2)]
    assert got == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]


def test_transforms_see_both(view: sm.DataView) -> None:
    flipped = MapDataset(view, transform=lambda image, mask: (image.flip(-1), mask.flip(-1)))[0]
    assert flipped[0][1, 0, -1] == 99


def test_numpy_batches_shards_and_hugging_face(view: sm.DataView, tmp_path: Path) -> None:
    images, masks = next(batches(view, 5))
    assert images.shape == (5, 20, 30, 3)
    assert (masks[:, 5, 5] == 1).all()
    shards = write_webdataset(view, tmp_path / "shards", per_shard=5)
    with tarfile.open(shards[0]) as shard:
        names = shard.getnames()
        assert names[:2] == ["000000000_f00.png", "000000000_f00.mask.png"]
        stored = np.array(Image.open(shard.extractfile(names[1])))  # type: ignore[arg-type]
    assert len(shards) == 3
    assert stored[5, 5] == 1
    pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    table = to_huggingface(view)
    assert table[2]["id"] == "f02"
    assert np.array(table[2]["mask"])[5, 5] == 1
