"""Local copies of what a frame names, by the format's own names."""

from smalti import pixels
from smalti.errors import MaskReferenceError
from smalti.records import Source

__all__ = ["LocalFiles"]


class LocalFiles:
    """Paths of a source, its preview and its masks; remote files are copied into the local cache."""

    __slots__ = ()

    base: str | None

    @property
    def source_record(self) -> Source:
        """The record of the source; the frame's own."""
        raise AttributeError("source_record")

    @property
    def masks_source(self) -> dict[str, str]:
        """{mask id: uri}; the frame's own."""
        raise AttributeError("masks_source")

    def get_local_source(self, raise_on_error: bool = False, force_download: bool = False) -> str | None:
        """Path of a local copy of the source; None where it cannot be had (unless `raise_on_error`)."""
        return pixels.local_path(self.source_record.uri, self.base, raise_on_error, force_download)

    def get_local_preview_source(self, raise_on_error: bool = False, force_download: bool = False) -> str | None:
        """Path of a local copy of the preview, or None."""
        preview = self.source_record.preview
        return None if preview is None else pixels.local_path(preview.uri, self.base, raise_on_error, force_download)

    def get_local_mask_source(
        self, mask_id: str | int | None = None, raise_on_error: bool = False, force_download: bool = False
    ) -> str | None:
        """Path of a local copy of one mask: the named one, or the only one."""
        masks = self.masks_source
        if mask_id is None and len(masks) == 1:
            mask_id = next(iter(masks))
        if mask_id is None or str(mask_id) not in masks:
            if not raise_on_error and not masks:
                return None
            raise MaskReferenceError(
                f"mask {mask_id!r} was asked for; the source has masks {list(masks)}; name one of them",
                mask_id=None if mask_id is None else str(mask_id),
                known=list(masks),
            )
        return pixels.local_path(masks[str(mask_id)], self.base, raise_on_error, force_download)

    def get_local_masks_source(
        self, raise_on_error: bool = False, force_download: bool = False
    ) -> dict[str, str | None]:
        """{mask id: path of a local copy}."""
        return {
            key: pixels.local_path(uri, self.base, raise_on_error, force_download)
            for key, uri in self.masks_source.items()
        }
