"""An S3 emulator (moto) in a process of its own, so that its warnings are not ours."""

import itertools
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # ends with the process that started us
server.stop()
"""


@dataclass
class S3Server:
    """A running emulator: any key pair signs in."""

    endpoint: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        self._send("PUT", f"/{name}")
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Write an object without our own code."""
        self._send("PUT", f"/{bucket}/{quote(key)}", data)

    def get(self, bucket: str, key: str) -> bytes:
        """Read an object without our own code."""
        return self._send("GET", f"/{bucket}/{quote(key)}")

    def _send(self, method: str, path: str, data: bytes = b"") -> bytes:
        signed = "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        # Without a content type urllib says that this is a form, and moto takes it apart.
        headers = {"Content-Type": "application/octet-stream", "Authorization": signed}
        body = data if method == "PUT" else None
        request = urllib.request.Request(self.endpoint + path, data=body, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as answer:
            found: bytes = answer.read()
            return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 emulator on a free port of loopback."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port, "the S3 emulator did not start: pip install 'moto[server,s3]'"
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.communicate()  # closes its stdin, which ends it


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No credentials, endpoints, proxies or caches from the machine; and no question to a cloud's metadata service."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "SMALTI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    nowhere = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere / "credentials"))
    monkeypatch.setenv("SMALTI_CACHE", "off")
