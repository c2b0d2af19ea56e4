"""One suite for every catalog: SQLite, PostgreSQL, objects in memory and on an S3 emulator."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.catalog_places import NOON, SHARED, Clock, Place, a_version

from smalti.errors import VersionError, VersionFrozen
from smalti.store.catalog import Catalog
from smalti.store.rows import AuditRow, DatasetRow, JobRow, KeyRow, UserRow, VersionRow, ViewRow

HARD_JSON = {"ü": [1, 2.5, None, True, {"nul": "\0", "half": "\ud800", "big": 2**80}], "": "", "🙂": {}}


def test_a_dataset_is_read_back_as_it_was_written(catalog: Catalog, place: Place) -> None:
    row = DatasetRow(
        name="drive 🚗",
        project="road/2031",
        description="line\nline",
        tags=["b", "a"],
        system_tags=["hidden"],
        meta=HARD_JSON,
        uri="x.lance",
        schema_rev=3,
        declared={"meta.city": "string"},
        created=datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-3))),
        extra={"k": 1},
    )
    made = catalog.create_dataset(row)
    assert made == row  # aware times are equal in every zone
    assert made.created.tzinfo is UTC
    with Catalog(place.opener) as other:
        assert other.get_dataset(row.uuid) == row
        assert other.list_datasets() == other.find_datasets(name="drive 🚗", project="road/2031") == [row]
        assert other.find_datasets(name="drive") == other.find_datasets(project="road") == []


def test_a_version_is_read_back_as_it_was_written(catalog: Catalog, place: Place) -> None:
    first = a_version(
        catalog, base_version=1, head_version=2**62, legend=[{"value": [0, 0, 1], "labels": ["cat"]}], report=HARD_JSON
    )
    second = VersionRow(
        dataset=first.dataset, name="v2", parents=[first.uuid], stats={"n": 1}, published=NOON, branch="b"
    )
    assert catalog.create_version(second) == second
    with Catalog(place.opener) as other:
        assert other.get_version(first.uuid) == first
        assert other.list_versions(first.dataset) == [first, second]
        assert other.find_version(first.dataset, "v2") == second
        assert other.find_version(first.dataset, "v3") is None
    assert first.published is None
    assert first.extra == {}


def test_datasets_are_listed_oldest_first(catalog: Catalog) -> None:
    rows = [DatasetRow(name=f"d{k}", created=NOON + timedelta(microseconds=k)) for k in (3, 1, 2)]
    for row in rows:
        catalog.create_dataset(row)
    assert [d.name for d in catalog.list_datasets()] == ["d1", "d2", "d3"]


def test_a_dataset_name_is_unique_in_its_project(catalog: Catalog) -> None:
    first = catalog.create_dataset(DatasetRow(name="drive"))
    catalog.create_dataset(DatasetRow(name="drive", project="p"))
    with pytest.raises(VersionError, match="dataset 'drive' of project 'p' is there already; choose another name"):
        catalog.create_dataset(DatasetRow(name="drive", project="p"))
    with pytest.raises(VersionError, match="dataset 'drive' is there already"):
        catalog.create_dataset(DatasetRow(name="drive"))
    with pytest.raises(VersionError, match="dataset 'drive' of project 'p' is there already"):
        catalog.update_dataset(first.uuid, project="p")
    assert catalog.get_dataset(first.uuid) == first
    assert len(catalog.list_datasets()) == 2


def test_a_version_name_is_unique_among_the_living(catalog: Catalog) -> None:
    first = a_version(catalog)
    with pytest.raises(VersionError, match="version 'v1' is there already"):
        catalog.create_version(VersionRow(dataset=first.dataset, name="v1"))
    catalog.update_version(first.uuid, state="deleted")
    second = catalog.create_version(VersionRow(dataset=first.dataset, name="v1"))
    with pytest.raises(VersionError, match="there already"):
        catalog.update_version(first.uuid, state="draft")
    assert catalog.find_version(first.dataset, "v1") == second
    assert catalog.list_versions(first.dataset) == [second]
    assert {v.uuid for v in catalog.list_versions(first.dataset, deleted=True)} == {first.uuid, second.uuid}
    assert a_version(catalog).name == "v1"  # another dataset


def test_ids_are_unique(catalog: Catalog) -> None:
    version = a_version(catalog)
    with pytest.raises(VersionError, match="there already"):
        catalog.create_dataset(DatasetRow(name="other", uuid=version.dataset))
    with pytest.raises(VersionError, match="there already"):
        catalog.create_version(VersionRow(dataset=version.dataset, name="other", uuid=version.uuid))
    assert catalog.get_version(version.uuid) == version


def test_a_version_needs_its_dataset_and_parents(catalog: Catalog) -> None:
    with pytest.raises(VersionError, match="version 'v': there is no dataset 'none'; create it first"):
        catalog.create_version(VersionRow(dataset="none", name="v"))
    here, there = a_version(catalog), a_version(catalog)
    with pytest.raises(VersionError, match="another dataset"):
        catalog.create_version(VersionRow(dataset=here.dataset, name="v", parents=[there.uuid]))
    with pytest.raises(VersionError, match="no version 'none'"):
        catalog.create_version(VersionRow(dataset=here.dataset, name="v", parents=["none"]))
    assert catalog.list_versions(here.dataset) == [here]


def test_updates_change_what_they_name_and_the_time(catalog: Catalog) -> None:
    version = a_version(catalog, description="old", meta={"a": 1})
    changed = catalog.update_version(version.uuid, description="new", tags=("x",), name="v9")
    assert (changed.description, changed.tags, changed.name, changed.meta) == ("new", ["x"], "v9", {"a": 1})
    assert changed.updated > version.updated
    assert catalog.get_version(version.uuid) == changed
    dataset = catalog.update_dataset(version.dataset, declared={"meta.a": "int64"}, updated=NOON)
    assert dataset.updated == NOON
    assert catalog.get_dataset(version.dataset) == dataset


def test_updates_refuse_what_cannot_be(catalog: Catalog) -> None:
    version = a_version(catalog)
    for bad in ({"state": "frozen"}, {"tags": "a"}, {"meta": {"x": float("nan")}}, {"head_version": 1.5}, {"name": ""}):
        with pytest.raises(VersionError, match="version"):
            catalog.update_version(version.uuid, **bad)
    for fixed in ("uuid", "dataset", "created", "colour"):
        with pytest.raises(TypeError, match=fixed):
            catalog.update_version(version.uuid, **{fixed: "x"})
    assert catalog.get_version(version.uuid) == version


def test_a_state_is_compared_and_changed_in_one_step(catalog: Catalog) -> None:
    version = a_version(catalog)
    assert catalog.update_version(version.uuid, expect_state="draft", state="publishing").state == "publishing"
    with pytest.raises(VersionError, match="version 'v1' is publishing, but this needs it to be draft") as caught:
        catalog.update_version(version.uuid, expect_state="draft", description="x")
    assert not isinstance(caught.value, VersionFrozen)
    catalog.update_version(version.uuid, expect_state={"draft", "publishing"}, state="published", head_version=4)
    with pytest.raises(VersionFrozen, match=r"is published, .* draft a child"):
        catalog.update_version(version.uuid, expect_state=("draft", "publishing"), description="x")
    with pytest.raises(VersionFrozen):
        catalog.delete_version(version.uuid, expect_state="draft")
    row = catalog.get_version(version.uuid)
    assert (row.description, row.head_version) == ("", 4)


def test_missing_rows_are_named(catalog: Catalog) -> None:
    for call in (
        catalog.get_dataset,
        catalog.get_version,
        catalog.get_view,
        catalog.get_job,
        catalog.update_dataset,
        catalog.update_version,
        catalog.update_user,
        catalog.delete_dataset,
        catalog.delete_version,
        catalog.delete_view,
        catalog.delete_job,
        catalog.delete_user,
        catalog.revoke_key,
    ):
        with pytest.raises(VersionError, match=r"no (dataset|version|view|job|user|API key) 'nowhere'"):
            call("nowhere")
    assert catalog.get_user("nowhere") is None
    assert catalog.get_key("nowhere") is None
    assert catalog.list_versions("nowhere") == []


def test_versions_are_deleted_leaves_first_and_datasets_last(catalog: Catalog) -> None:
    root = a_version(catalog)
    leaf = catalog.create_version(VersionRow(dataset=root.dataset, name="leaf", parents=[root.uuid]))
    with pytest.raises(VersionError, match=r"'v1' is a parent of 'leaf'; delete leaves first"):
        catalog.delete_version(root.uuid)
    with pytest.raises(VersionError, match=r"not deleted \('v1', 'leaf'\)"):
        catalog.delete_dataset(root.dataset)
    catalog.acquire_lease(leaf.uuid, "me", 10)
    catalog.delete_version(leaf.uuid)
    assert catalog.get_lease(leaf.uuid) is None
    catalog.update_version(root.uuid, state="deleted")
    catalog.delete_dataset(root.dataset)
    for gone in (lambda: catalog.get_version(root.uuid), lambda: catalog.get_dataset(root.dataset)):
        with pytest.raises(VersionError, match="no "):
            gone()
    with pytest.raises(VersionError, match="there is no dataset"):
        catalog.create_version(VersionRow(dataset=root.dataset, name="late"))


def test_a_lease_keeps_others_out_until_it_ends(catalog: Catalog, clock: Clock) -> None:
    version = a_version(catalog).uuid
    lease = catalog.acquire_lease(version, "anna@mill", 60)
    assert lease.expires == NOON + timedelta(seconds=60)
    busy = r"written by 'anna@mill' until 2031-05-06 12:01:00 UTC"
    for owner in ("bert", "anna@mill"):
        with pytest.raises(VersionError, match=busy):
            catalog.acquire_lease(version, owner, 60)
    clock.advance(59.5)
    assert catalog.get_lease(version) == lease
    renewed = catalog.renew_lease(lease, 60)
    assert renewed.expires == NOON + timedelta(seconds=119.5)
    clock.advance(60)
    assert catalog.get_lease(version) is None
    taken = catalog.acquire_lease(version, "bert", 60)
    with pytest.raises(VersionError, match=r"lease of 'anna@mill' on version [\w@]+ is lost: 'bert' has it"):
        catalog.renew_lease(renewed, 60)
    catalog.release_lease(renewed)  # lost: changes nothing
    assert catalog.get_lease(version) == taken
    catalog.release_lease(taken)
    catalog.release_lease(taken)
    with pytest.raises(VersionError, match="it was released"):
        catalog.renew_lease(taken, 60)
    assert catalog.acquire_lease(version, "carl", 1).owner == "carl"


def test_a_lease_that_ran_out_renews_if_nobody_took_it(catalog: Catalog, clock: Clock) -> None:
    lease = catalog.acquire_lease(a_version(catalog).uuid, "anna", 60)
    clock.advance(3600)
    assert catalog.renew_lease(lease, 60).expires == NOON + timedelta(seconds=3660)


def test_a_lease_needs_a_version_and_time(catalog: Catalog) -> None:
    with pytest.raises(VersionError, match="no version 'none'"):
        catalog.acquire_lease("none", "me", 60)
    with pytest.raises(ValueError, match="ttl_s is 0"):
        catalog.acquire_lease(a_version(catalog).uuid, "me", 0)


def test_without_a_clock_leases_follow_real_time(place: Place) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)
    with Catalog(place.opener) as catalog:
        lease = catalog.acquire_lease(a_version(catalog).uuid, "me", 60)
        assert before < lease.expires < datetime.now(UTC) + timedelta(minutes=5)
        assert catalog.get_lease(lease.version) == lease


def test_views_are_saved_over_and_may_share_names(catalog: Catalog) -> None:
    view = catalog.save_view(ViewRow(name="cars", project="p", spec=HARD_JSON))
    twin = catalog.save_view(ViewRow(name="cars", spec={"q": 1}))
    again = catalog.save_view(ViewRow(name="cars", uuid=view.uuid, status="published", spec={"q": 2}))
    assert (again.created, again.spec, again.project) == (view.created, {"q": 2}, None)
    assert again.updated > view.updated
    assert catalog.list_views() == catalog.find_views("cars") == [again, twin]
    assert catalog.find_views("cars", status="published") == [catalog.get_view(view.uuid)]
    catalog.delete_view(view.uuid)
    assert catalog.list_views() == [twin]


def test_a_job_is_taken_once(catalog: Catalog) -> None:
    old, new = (JobRow(kind="export", created=NOON + timedelta(seconds=s), spec={"s": s}) for s in (0, 1))
    for job in (new, old, JobRow(kind="facts", created=NOON)):
        catalog.create_job(job)
    first = catalog.take_job("w1", kind="export")
    assert first is not None
    assert (first.uuid, first.state, first.owner, first.spec) == (old.uuid, "running", "w1", {"s": 0})
    second = catalog.take_job("w2", kind="export")
    assert second is not None
    assert second.uuid == new.uuid
    assert catalog.take_job("w3", kind="export") is None
    catalog.update_job(old.uuid, expect_state="running", progress=0.5, message="half")
    done = catalog.update_job(old.uuid, state="done", result=[1], progress=1)
    with pytest.raises(VersionError, match="is done, but this needs it to be running"):
        catalog.update_job(old.uuid, expect_state="running", progress=0.6)
    assert catalog.list_jobs(state="done") == [done]
    assert (done.message, done.result, done.progress) == ("half", [1], 1.0)
    catalog.delete_job(old.uuid)
    assert {j.kind for j in catalog.list_jobs()} == {"export", "facts"}


def test_the_audit_trail_is_newest_first(catalog: Catalog) -> None:
    for k in range(6):
        who = "anna" if k % 2 else "bert"
        catalog.record(
            AuditRow(
                who=who, what="purge", dataset="d", version=f"v{k}", when=NOON + timedelta(seconds=k), detail={"k": k}
            )
        )
    assert [row.detail["k"] for row in catalog.audit()] == [5, 4, 3, 2, 1, 0]
    assert [row.detail["k"] for row in catalog.audit(limit=2)] == [5, 4]
    assert [row.detail["k"] for row in catalog.audit(who="anna", limit=2)] == [5, 3]
    assert [row.detail["k"] for row in catalog.audit(since=NOON + timedelta(seconds=3))] == [5, 4, 3]
    assert [row.detail["k"] for row in catalog.audit(version="v2", dataset="d", what="purge")] == [2]
    assert catalog.audit(what="merge") == []


def test_users_and_their_keys(catalog: Catalog) -> None:
    anna = catalog.add_user(UserRow(name="anna", role="admin", password="hash"))
    catalog.add_user(UserRow(name="bert"))
    with pytest.raises(VersionError, match="user 'anna' is there already"):
        catalog.add_user(UserRow(name="anna"))
    with pytest.raises(VersionError, match=r"account.role is 'root'"):
        catalog.update_user("bert", role="root")
    assert catalog.update_user("bert", role="annotator").role == "annotator"
    assert catalog.get_user("anna") == anna
    assert [u.name for u in catalog.list_users()] == ["anna", "bert"]
    key = catalog.add_key(KeyRow(access_key="AK1", secret="h1", user="anna"))
    catalog.add_key(KeyRow(access_key="AK2", secret="h2", user="bert"))
    with pytest.raises(VersionError, match="there is no user 'carl'"):
        catalog.add_key(KeyRow(access_key="AK3", secret="h", user="carl"))
    assert catalog.get_key("AK1") == key
    revoked = catalog.revoke_key("AK1")
    assert revoked.revoked is not None
    assert catalog.revoke_key("AK1") == catalog.get_key("AK1") == revoked
    assert [k.access_key for k in catalog.list_keys()] == ["AK1", "AK2"]
    catalog.delete_user("anna")
    assert [k.access_key for k in catalog.list_keys()] == ["AK2"]
    assert catalog.list_keys("anna") == []


def test_a_closed_catalog_opens_again(catalog: Catalog) -> None:
    row = catalog.create_dataset(DatasetRow(name="d"))
    catalog.close()
    catalog.close()
    assert catalog.list_datasets() == [row]


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_a_pickled_catalog_is_the_recipe_to_open_it(place: Place) -> None:
    with Catalog(place.opener) as catalog:
        row = catalog.create_dataset(DatasetRow(name="d"))
        with pickle.loads(pickle.dumps(catalog)) as copy:
            assert copy.list_datasets() == [row]
