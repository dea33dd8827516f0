"""Files in the idx format of the MNIST images: a few bytes that say type and shape, then the numbers."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from weightpath._types import Shaped

#: Type bytes of the format and what they stand for; big-endian.
KINDS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Shaped[np.ndarray, "..."]:
    """The array of an idx file, packed by gzip or not.

    **Raises:** ValueError when there is no such file, or it is not (whole and) of this format.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}.")
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is no whole gzip file: {error}.") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in KINDS or content[3] == 0:
        raise ValueError(f"{path} is no idx file: it begins with {content[:4].hex()}, not 0000, type and rank.")
    kind, rank = np.dtype(KINDS[content[2]]), content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start]) if len(content) >= start else ()
    expected = start + kind.itemsize * math.prod(shape)
    if len(content) != expected or not shape:
        raise ValueError(f"{path} is no whole idx file: {len(content)} bytes for an array of shape {shape}.")
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))
