"""The one part of a multipart/form-data upload, read as it arrives: files are large, so no body is held in memory."""

import re
from collections.abc import Callable

from smalti.server.clearml.envelope import Fault

__all__ = ["OnePart", "boundary_of"]

_MOST_HEADERS = 16 << 10


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises:
        Fault: it is no multipart form.
    """
    found = re.search(r'boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))', content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        raise Fault(400, f"an upload is multipart/form-data with a boundary, not {content_type[:100] or 'nothing'!r}")
    return (found[1] or found[2]).encode("latin-1", "replace")


class OnePart:
    """Reads a form with exactly one file.

    Args:
        boundary: what stands between parts.
        write: takes the bytes of the file, piece by piece.
    """

    def __init__(self, boundary: bytes, write: Callable[[bytes], object]) -> None:
        self._opening = b"--" + boundary
        self._ending = b"\r\n--" + boundary
        self._write = write
        self._kept = bytearray()
        self._stage = "preamble"
        self.name = ""
        self.content_type = ""

    def feed(self, data: bytes) -> None:
        """The next bytes of the body.

        Raises:
            Fault: this is no form with one file.
        """
        self._kept += data
        if self._stage == "preamble":
            self._preamble()
        if self._stage == "content":
            self._content()

    def _preamble(self) -> None:
        start = self._kept.find(self._opening)
        stop = self._kept.find(b"\r\n\r\n", start)
        if start < 0 or stop < 0:
            if len(self._kept) > _MOST_HEADERS:
                raise Fault(400, "the upload does not begin with a part and its headers")
            return
        self._headers(bytes(self._kept[start + len(self._opening) : stop]))
        del self._kept[: stop + 4]
        self._stage = "content"
        if self._kept.startswith(self._ending[2:]):  # a part without a single byte
            self._end(0)

    def _headers(self, block: bytes) -> None:
        for line in block.decode("utf-8", "replace").split("\r\n"):
            key, _, value = line.partition(":")
            if key.strip().lower() == "content-type":
                self.content_type = value.strip()
            elif key.strip().lower() == "content-disposition":
                quoted = dict(re.findall(r';\s*([a-z*]+)="((?:[^"\\]|\\.)*)"', value, re.IGNORECASE))
                self.name = _unescape(quoted.get("filename") or quoted.get("name") or "")

    def _content(self) -> None:
        at = self._kept.find(self._ending)
        if at >= 0:
            self._end(at)
            return
        # All but what may be the beginning of a boundary that the next bytes complete.
        sure = len(self._kept) - len(self._ending)
        if sure > 0:
            self._write(bytes(self._kept[:sure]))
            del self._kept[:sure]

    def _end(self, at: int) -> None:
        if at:
            self._write(bytes(self._kept[:at]))
        self._kept.clear()
        self._stage = "done"

    def finish(self) -> None:
        """The body is over.

        Raises:
            Fault: the file is not.
        """
        if self._stage != "done":
            raise Fault(400, "the upload broke off before its end; send it again")
        if not self.name:
            raise Fault(400, "the part has no name; it is the path of the file")


def _unescape(text: str) -> str:
    """Names as requests and browsers write them: quotes and line breaks percent-encoded, or with a backslash."""
    text = re.sub(r'\\(["\\])', r"\1", text)
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
