"""Views in PyTorch: the pixels are right, every frame comes once, and a token goes on exactly where it was."""

import itertools
import multiprocessing
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import smalti as sm
from smalti.errors import DecodeError, FrameError, QueryError
from smalti.order import Position, Shard

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from smalti.feed import torch as feed_torch  # noqa: E402
from smalti.feed.torch import Loader, MapDataset, StreamDataset, _Batches, _Request, loader  # noqa: E402

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


def test_every_frame_comes_once(view: sm.DataView) -> None:
    feed = loader(view, batch_size=5)
    assert len(feed) == 3
    assert [numbers(batch) for batch in feed] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    with pytest.raises(ValueError, match="batch_size"):
        loader(view, batch_size=0)


def test_workers_stay_for_the_next_epoch_and_tokens_fit_any_number_of_them(view: sm.DataView) -> None:
    view.set_iteration_parameters(order="random", random_seed=5)
    every = [[numbers(batch) for batch in loader(view, batch_size=2, epoch=epoch)] for epoch in (0, 1)]
    feed = loader(view, batch_size=2, workers=2, crop=(20, 30))
    seen = []
    for batch in feed:
        assert batch[1].dtype == torch.int64
        seen.append(numbers(batch))
        if len(seen) == 3:
            break
    token = feed.state()  # workers have read ahead; three batches were delivered
    before = {child.pid for child in multiprocessing.active_children()}
    assert [numbers(batch) for batch in feed] == every[0]
    assert feed.epoch == 1
    assert [numbers(batch) for batch in feed] == every[1]
    assert {child.pid for child in multiprocessing.active_children()} == before
    rest = [numbers(batch) for batch in loader(view, batch_size=2, resume=token)]
    assert seen + rest == every[0]


def test_passes_are_epochs(view: sm.DataView) -> None:
    view.set_iteration_parameters(order="random", random_seed=5)
    feed = loader(view, batch_size=12)
    passes = [numbers(batch) for _ in range(3) for batch in feed]
    assert passes == [numbers(next(iter(loader(view, batch_size=12, epoch=epoch)))) for epoch in range(3)]
    assert passes[0] != passes[1]
    assert (feed.epoch, len(feed)) == (3, 1)
    feed.set_epoch(1)
    assert [numbers(batch) for batch in feed] == passes[1:2]
    again = loader(view, batch_size=12, resume=feed.state())
    assert again.epoch == 2
    assert [numbers(batch) for batch in again] == passes[2:]
    endless = sm.DataView(view.tables[0].frames, iteration_infinite=True).map_labels({"car": 1})  # type: ignore[attr-defined]
    assert len(list(itertools.islice(loader(endless, batch_size=5), 7))) == 7
    assert len(list(itertools.islice(StreamDataset(endless), 30))) == 30


def test_masks_of_other_dtypes_and_clips(view: sm.DataView) -> None:
    image, mask = next(iter(loader(view, batch_size=3, dtype=np.uint8)))
    assert (image.dtype, mask.dtype, int(mask.max())) == (torch.uint8, torch.uint8, 255)
    feed = loader(view, batch_size=2, clip=3, crop=(8, 9))
    shapes = [(tuple(image.shape), tuple(mask.shape)) for image, mask in feed]
    assert shapes == [((2, 3, 3, 8, 9), (2, 3, 8, 9))] * 2
    with pytest.raises(FrameError, match="do not fit uint8"):
        list(loader(view.clone().map_labels({"car": 1}, void=-1), dtype=np.uint8))


def test_narrow_masks_are_widened_by_whoever_gets_them(view: sm.DataView) -> None:
    dataset = MapDataset(view.clone().map_labels({"car": 1}, void=-1))
    dataset.samples.is_narrow = True
    sent = _Batches(dataset)[_Request(0, [0, 1], [])]
    assert sent[2][1].dtype == torch.int16
    feed = Loader(dataset, batch_size=2, shard=Shard(), start=Position(dataset.samples.run.key), options={})
    mask = next(iter(feed))[1]
    assert (mask.dtype, int(mask.min()), int(mask.max())) == (torch.int64, -1, 1)


def test_ranks_out_of_step_join_their_tokens(view: sm.DataView) -> None:
    feeds = [loader(view, batch_size=1, rank=rank, ranks=2) for rank in range(2)]
    seen = [
        n for feed, count in zip(feeds, (4, 1), strict=True) for b in itertools.islice(feed, count) for n in numbers(b)
    ]
    token = str(Position.merge([feed.own_state() for feed in feeds]))
    rest = [n for batch in loader(view, batch_size=3, resume=token) for n in numbers(batch)]
    assert len(seen) == 5
    assert sorted(seen + rest) == list(range(12))


def test_torchvision_masks_are_handed_to_transforms(view: sm.DataView, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mask(torch.Tensor):
        """As torchvision's: a tensor by another name."""

        def __new__(cls, found: object) -> "Mask":
            return found.as_subclass(cls)  # type: ignore[attr-defined,no-any-return]

    package = types.ModuleType("torchvision")
    package.tv_tensors = types.SimpleNamespace(Mask=Mask)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", package)
    feed_torch._mask_type.cache_clear()
    kinds = []

    def look(image: object, mask: object) -> tuple[object, object]:
        kinds.append(type(mask))
        return image, mask

    try:
        _image, mask = next(iter(loader(view, batch_size=2, transform=look)))
    finally:
        feed_torch._mask_type.cache_clear()
    assert kinds == [Mask, Mask]
    assert type(mask) is torch.Tensor


def test_a_plain_dataloader_may_use_the_dataset(view: sm.DataView) -> None:
    got = [numbers(batch) for batch in torch.utils.data.DataLoader(MapDataset(view), batch_size=6)]
    assert got == [list(range(6)), list(range(6, 12))]
    with pytest.raises(IndexError):
        MapDataset(view)[12]


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
    assert feed.epoch == 1


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
