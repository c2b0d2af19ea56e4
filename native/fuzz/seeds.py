"""Write small PNG files of every kind the kernels read: `python3 seeds.py FOLDER`. Standard library only, always the same."""

import random
import struct
import sys
import zlib
from pathlib import Path

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture(rng: random.Random, width: int, height: int, bits: int, color: int) -> bytes:
    """Rows of mostly zero residuals under filters of every kind, as masks have them."""
    row_bytes = (width * CHANNELS[color] * bits + 7) // 8
    busy = rng.choice([0.0, 0.05, 0.5])
    rows, last = [], b""
    for _ in range(height):
        if not last or rng.random() < 0.6:
            body = bytes(rng.randrange(256) if rng.random() < busy else 0 for _ in range(row_bytes))
            last = bytes([rng.randrange(5)]) + body
        rows.append(last)
    stream = zlib.compress(b"".join(rows), rng.choice([0, 1, 6]))
    cut = rng.randrange(len(stream))
    palette = chunk(b"PLTE", bytes(rng.randrange(256) for _ in range(3 << bits))) if color == 3 else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + palette
        + chunk(b"IDAT", stream[:cut])
        + chunk(b"IDAT", stream[cut:])
        + chunk(b"IEND", b"")
    )


def main(folder: Path) -> None:
    """Some sixty files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(1)
    for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8,), 6: (8,)}.items():
        for bits in depths:
            for width, height in ((1, 1), (7, 5), (33, 20), (130, 9), (700, 70)):
                (folder / f"{color}-{bits}-{width}x{height}.png").write_bytes(picture(rng, width, height, bits, color))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
