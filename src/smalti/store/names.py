"""Which names new datasets, versions and views may have: those that can be said. Old ones stay as they are."""

from smalti.errors import VersionError

__all__ = ["check_name"]


def check_name(what: str, name: str, *, told_by_at: bool = False) -> None:
    """Refuse a name that nobody could write afterwards.

    Args:
        what: dataset, version or view.
        name: the new name.
        told_by_at: the name stands where DATASET@VERSION may stand, so an @ in it would be misread.

    Raises:
        VersionError: it is one.
    """
    fault = (
        "is empty"
        if not name.strip()
        else "begins or ends with a space"
        if name != name.strip()
        else "means all of them"
        if name == "*"
        else "holds an @, which stands between DATASET and VERSION"
        if told_by_at and "@" in name
        else None
    )
    if fault:
        raise VersionError(f"the {what} name {name!r} {fault}; choose another")
