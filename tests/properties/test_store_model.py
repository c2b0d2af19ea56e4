"""Random operations on a tree of versions, beside plain dictionaries that say what must come out."""

import random
from pathlib import Path

import pytest

from smalti.errors import VersionFrozen
from smalti.records import Frame
from smalti.store import DatasetVersion, ingest, open_store
from smalti.store.maintain import tidy
from smalti.testing import frame

Model = dict[str, Frame]


class Twin:
    """A dataset and its model, version by version."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.data = open_store(folder).create_dataset("data")
        self.models: dict[str, Model] = {"v0": {}}
        self.data.create_version("v0")
        self.log: list[str] = []

    def some_frames(self, most: int) -> list[Frame]:
        numbers = self.draw.sample(range(60), self.draw.randrange(1, most))
        return [frame(number, blob=str(self.draw.randrange(4))) for number in numbers]

    def drafts(self) -> list[DatasetVersion]:
        return [version for version in self.data.versions() if version.state == "draft"]

    def step(self) -> None:
        draft = self.draw.choice(self.drafts() or [self.fork()])
        act = self.draw.choice(("add", "add", "save", "delete", "bulk", "publish", "fork", "tidy", "declare", "merge"))
        self.log.append(f"{act} {draft.name}")
        getattr(self, act)(draft)

    def add(self, draft: DatasetVersion) -> None:
        chosen = self.some_frames(20)
        assert draft.add_frames(chosen) == []
        self.models[draft.name] |= {item.id or "": item for item in chosen}

    def bulk(self, draft: DatasetVersion) -> None:
        few, ingest.FEW = ingest.FEW, 0
        try:
            self.add(draft)
        finally:
            ingest.FEW = few

    def save(self, draft: DatasetVersion) -> None:
        (chosen,) = self.some_frames(2)
        draft.update_frame(chosen)
        self.models[draft.name][chosen.id or ""] = chosen

    def delete(self, draft: DatasetVersion) -> None:
        ids = [item.id or "" for item in self.some_frames(10)]
        model = self.models[draft.name]
        assert draft.delete_frames(ids) == len([id_ for id_ in ids if model.pop(id_, None) is not None])

    def publish(self, draft: DatasetVersion) -> None:
        draft.publish()

    def fork(self, draft: DatasetVersion | None = None) -> DatasetVersion:
        published = [version for version in self.data.versions() if version.state == "published"]
        name = f"v{len(self.models)}"
        if published:
            parent = self.draw.choice(published)
            self.models[name] = dict(self.models[parent.name])
            return parent.child(name)
        self.models[name] = {}
        return self.data.create_version(name)

    def tidy(self, draft: DatasetVersion) -> None:
        with draft.lease("test") as renew, draft.writing() as branch:
            tidy(branch, renew, thorough=True)

    def declare(self, draft: DatasetVersion) -> None:
        self.data.declare(*self.draw.choice((("meta.n", "int"), ("meta.city", "string"))))

    def merge(self, draft: DatasetVersion) -> None:
        other = self.draw.choice(self.data.versions())
        if other.name == draft.name:
            return
        changed = self.data.diff(draft.name, other.name)
        before = dict(self.models[draft.name])
        self.data.merge(draft, other, rule="theirs")
        after = {record.id or "": record for record in draft.records()}
        # What they agree on stays; every frame that differed comes whole from one of the sides.
        touched = {*changed.added, *changed.removed, *changed.changed}
        assert {id_: f for id_, f in after.items() if id_ not in touched} == {
            id_: f for id_, f in before.items() if id_ not in touched
        }
        theirs = self.models[other.name]
        for id_ in touched & after.keys():
            assert after[id_] in (before.get(id_), theirs.get(id_))
        self.models[draft.name] = after

    def check(self) -> None:
        for version in self.data.versions():
            model = self.models[version.name]
            assert {record.id: record for record in version.records()} == model, version.name
            assert len(version) == len(model)
            cars = version.rows().count("array_has(labels, 'car')")
            assert cars == sum(item.rois[0].label == ["car"] for item in model.values())
        names = [version.name for version in self.data.versions()]
        a, b = self.draw.choice(names), self.draw.choice(names)
        found = self.data.diff(a, b)
        old, new = self.models[a], self.models[b]
        assert found.added == sorted(new.keys() - old.keys()), (a, b)
        assert found.removed == sorted(old.keys() - new.keys()), (a, b)
        assert found.changed == sorted(id_ for id_ in old.keys() & new.keys() if old[id_] != new[id_]), (a, b)


def run(folder: Path, seed: int, steps: int) -> None:
    twin = Twin(folder, seed)
    try:
        for _ in range(steps):
            twin.step()
            twin.check()
    except Exception as error:
        error.add_note(f"seed {seed}: {', '.join(twin.log)}")
        raise
    for version in twin.data.versions():
        if version.is_published:
            with pytest.raises(VersionFrozen):
                version.delete_frames(["f0001"])
    assert twin.data.store.verify().problems == []


@pytest.mark.parametrize("seed", range(4))
def test_a_few_random_steps(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.store.maintain._WORTH_INDEXING", 4)
    run(tmp_path / "store", seed, 25)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 106))
def test_many_random_steps(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalti.store.maintain._WORTH_INDEXING", 4)
    run(tmp_path / "store", seed, 250)
