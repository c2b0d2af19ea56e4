"""Publish and snapshot: how a draft becomes a version that never changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from smalti.errors import CheckFailed, VersionError
from smalti.store.counting import compute_facts, stats_of
from smalti.store.ingest import make_unique
from smalti.store.maintain import tidy
from smalti.store.names import check_name
from smalti.store.rows import AuditRow, utc_now

if TYPE_CHECKING:
    from smalti.store.version import DatasetVersion

__all__ = ["publish", "snapshot"]


def publish(version: "DatasetVersion", check: Any, *, force: bool, facts: bool) -> None:
    """See `DatasetVersion.publish`.

    The order makes every crash harmless: the version is "publishing" while its rows are brought into their last form,
    and a publisher that dies leaves a lease that runs out, after which the version is a draft again.
    """
    catalog = version.dataset.catalog
    version.require_draft()
    if facts:
        compute_facts(version)
    report = _checked(version, check, force)
    with version.lease("a publish") as renew:
        # "publishing" is what a publisher left that died or met a full disk: its lease is over, for we have it.
        catalog.update_version(version.id, expect_state=("draft", "publishing"), state="publishing")
        try:
            row = catalog.get_version(version.id)
            branch = version.dataset.engine.at(row.branch)
            make_unique(branch)  # a bulk load that died while it raced an upsert may have left a second row of one id
            tidy(branch, renew)
            head = branch.snapshot()
            stats = stats_of(head)
            version.dataset.engine.tag("pub", row.branch, head.version)
            renew()
            catalog.update_version(
                version.id,
                expect_state="publishing",
                state="published",
                head_version=head.version,
                stats=stats,
                report=report,
                published=utc_now(),
            )
        except BaseException:
            if catalog.get_version(version.id).state == "publishing":
                catalog.update_version(version.id, expect_state="publishing", state="draft")
            raise
    catalog.record(
        AuditRow(who=version.dataset.store.user, what="publish", dataset=version.dataset.id, version=version.id)
    )
    if version.row.state != "published":
        raise VersionError(f"version {version.name} was changed by somebody else while it was published")


def _checked(version: "DatasetVersion", check: Any, force: bool) -> Any:
    """The report of the checks as plain data, None without checks.

    Raises:
        CheckFailed: there are errors, and `force` is false.
    """
    if check is None:
        return None
    report = _check_of(check)(version)
    errors = getattr(report, "errors", None)
    plain = _plain(report)
    if errors and not force:
        version.dataset.catalog.update_version(version.id, expect_state="draft", report=plain)
        version.require_draft()  # the handle has the report
        count = len(errors) if hasattr(errors, "__len__") else errors
        raise CheckFailed(
            f"version {version.dataset.name}@{version.name} is not published: its masks have {count} error(s)",
            advice="correct them, or publish(..., force=True)",
            command="correct them, or give --force",
            report=report,
        )
    return plain


def _check_of(check: Any) -> Callable[[Any], Any]:
    if callable(check):
        found: Callable[[Any], Any] = check
        return found
    if check == "errors":
        from smalti.lint import check as lint

        return lambda version: lint(version)
    raise VersionError(f'check is {check!r}; allowed: None, "errors", or a callable that takes the version')


def _plain(report: Any) -> Any:
    """What of a report can be kept: itself as JSON data, else its text."""
    for form in ("to_dict", "as_dict"):
        if hasattr(report, form):
            report = getattr(report, form)()
            break
    try:
        return msgspec.json.decode(msgspec.json.encode(report))
    except (TypeError, msgspec.MsgspecError):
        return {"text": str(report)}


def snapshot(version: "DatasetVersion", name: str | None, child: str | None) -> "DatasetVersion":
    """See `DatasetVersion.snapshot`."""
    former = version.name
    now = datetime.now(UTC)
    chosen = name or f"snapshot {now.isoformat(timespec='microseconds')}"
    goes_on = child or former
    if chosen == goes_on:
        raise VersionError(f"the snapshot and the draft after it would both be called {chosen!r}; name them apart")
    dataset = version.dataset
    for new in {chosen, goes_on} - ({former} if chosen == former else set()):  # before anything is published
        check_name("version", new, told_by_at=True)
    if chosen != former and chosen in dataset:
        raise VersionError(f"version {chosen!r} of dataset {dataset.name!r} is there already; choose another name")
    if goes_on != former and goes_on in dataset:
        raise VersionError(f"version {goes_on!r} of dataset {dataset.name!r} is there already; choose another name")
    version.publish()
    if chosen != former:
        version.rename(chosen)
    return version.child(goes_on)
