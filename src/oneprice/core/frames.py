"""Journal frames: 16-byte header, then n x 64 bytes, encoded, checked and scanned by kernels.

Header, little endian: length u32 (payload bytes), kind u16, flags u16, seq u32, crc32 u32. The checksum is
CRC-32 as in zlib over the header with crc 0 and the payload. Kernels take addresses, so read-only and
writable buffers share one compiled version. Frames start on multiples of 16 from the start of the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from oneprice.core.address import pointer
from oneprice.core.jit import njit

HEADER_BYTES, UNIT = 16, 64
END, MANIFEST, EVENTS, ROWS, SNAPSHOT, MODEL, SESSION_START, SESSION_END, DATA_REF = 0, 1, 2, 3, 4, 5, 6, 7, 8
FRAME_NAMES = (
    "end",
    "manifest",
    "events",
    "rows",
    "snapshot",
    "model",
    "session_start",
    "session_end",
    "data_ref",
)

# flags of a frame
SYNCED_BEFORE = 1  # everything before this frame was on disk when it was written
NEVER_SYNCED = 2  # written under `async` durability

# how a scan ends
CLEAN, TORN, CORRUPT = 0, 1, 2

HEADER = np.dtype(
    {
        "names": ["length", "kind", "frame_flags", "seq", "crc"],
        "formats": ["u4", "u2", "u2", "u4", "u4"],
        "offsets": [0, 4, 6, 8, 12],
        "itemsize": HEADER_BYTES,
    },
    align=True,
)
FOUND = np.dtype(
    [("offset", "i8"), ("length", "i8"), ("seq", "i8"), ("kind", "i4"), ("frame_flags", "i4")], align=True
)


def _tables() -> np.ndarray:
    """Slicing-by-8 tables of the polynomial 0xEDB88320, flat: table t of byte b is at `t * 256 + b`."""
    out = np.zeros((8, 256), np.uint32)
    for b in range(256):
        c = b
        for _ in range(8):
            c = (c >> 1) ^ (0xEDB88320 if c & 1 else 0)
        out[0, b] = c
    for t in range(1, 8):
        out[t] = (out[t - 1] >> np.uint32(8)) ^ out[0, out[t - 1] & np.uint32(255)]
    return out.reshape(-1)


_TABLE = _tables()
_U8, _BYTE = np.uint64(8), np.uint64(255)
_ONES = np.uint64(0xFFFFFFFF)


@njit
def crc32_at(address: int, n: int, start: Any) -> Any:
    """CRC-32 of `n` bytes at an address, continued from `start` (0 to begin), as zlib.crc32 does."""
    c = np.uint64(start) ^ _ONES
    head = min(n, (8 - (address & 7)) & 7)
    first = carray(pointer(address), head, np.uint8)
    for i in range(head):
        c = np.uint64(_TABLE[(c ^ np.uint64(first[i])) & _BYTE]) ^ (c >> _U8)
    n_words = (n - head) >> 3
    words = carray(pointer(address + head), n_words, np.uint64)
    for i in range(n_words):
        w = words[i] ^ c
        c = np.uint64(
            _TABLE[np.uint64(1792) + (w & _BYTE)]
            ^ _TABLE[np.uint64(1536) + ((w >> np.uint64(8)) & _BYTE)]
            ^ _TABLE[np.uint64(1280) + ((w >> np.uint64(16)) & _BYTE)]
            ^ _TABLE[np.uint64(1024) + ((w >> np.uint64(24)) & _BYTE)]
            ^ _TABLE[np.uint64(768) + ((w >> np.uint64(32)) & _BYTE)]
            ^ _TABLE[np.uint64(512) + ((w >> np.uint64(40)) & _BYTE)]
            ^ _TABLE[np.uint64(256) + ((w >> np.uint64(48)) & _BYTE)]
            ^ _TABLE[w >> np.uint64(56)]
        )
    done = head + n_words * 8
    tail = carray(pointer(address + done), n - done, np.uint8)
    for i in range(n - done):
        c = np.uint64(_TABLE[(c ^ np.uint64(tail[i])) & _BYTE]) ^ (c >> _U8)
    return c ^ _ONES


@njit
def encode_frame(base: int, at: int, kind: int, flags: int, seq: int, payload: int, n: int) -> int:
    """Write one frame at `base + at` from `n` payload bytes (a multiple of 64) at address `payload`.

    The checksum goes in last, so a frame that was cut short never looks whole. Returns the offset behind the
    frame. The caller has made room.
    """
    to = carray(pointer(base + at + 16), n, np.uint8)
    src = carray(pointer(payload), n, np.uint8)
    for i in range(n):
        to[i] = src[i]
    h = carray(pointer(base + at), 1, HEADER)[0]
    h.length = n
    h.kind = kind
    h.frame_flags = flags
    h.seq = seq
    h.crc = 0
    h.crc = crc32_at(base + at, n + 16, 0)
    return at + 16 + n


@njit
def frame_at(base: int, at: int, end: int) -> int:
    """Whole length of a frame at `base + at` whose length and checksum hold, else 0. Writes nothing."""
    if at + 16 > end:
        return 0
    h = carray(pointer(base + at), 1, HEADER)[0]
    length = np.int64(h.length)
    if h.kind == 0 or h.frame_flags > 3 or (length & 63) != 0 or at + 16 + length > end:
        return 0
    c = crc32_at(base + at, 12, 0) ^ _ONES
    for _ in range(4):  # the crc field counts as zeros
        c = np.uint64(_TABLE[c & _BYTE]) ^ (c >> _U8)
    c = crc32_at(base + at + 16, length, c ^ _ONES)
    return int(16 + length) if np.uint32(c) == h.crc else 0


@njit
def last_nonzero(base: int, start: int, end: int) -> int:
    """Offset behind the last byte that is not zero in [start, end), or `start`."""
    raw = carray(pointer(base), end, np.uint8)
    at = end
    while at > start and raw[at - 1] == 0:
        at -= 1
    return at


@njit
def scan_frames(base: int, at: int, end: int, seq: int, found: Any) -> tuple[int, int, int]:
    """Whole frames in order from offset `at`, written to `found` (FOUND array) until it is full.

    Returns (number found, offset behind the last, expected seq of the next). Stops at the first byte that
    does not begin a frame of the expected sequence number.
    """
    n = 0
    while n < found.shape[0]:
        whole = frame_at(base, at, end)
        if whole == 0:
            break
        h = carray(pointer(base + at), 1, HEADER)[0]
        if np.int64(h.seq) != seq:
            break
        f = found[n]
        f.offset = at
        f.length = whole - 16
        f.seq = seq
        f.kind = np.int64(h.kind)
        f.frame_flags = np.int64(h.frame_flags)
        n += 1
        seq += 1
        at += whole
    return n, at, seq


@njit
def judge_tail(base: int, at: int, end: int, seq: int) -> tuple[int, int]:
    """What lies behind the last whole frame, where frame `seq` should begin.

    Returns (CLEAN | TORN | CORRUPT, offset of the frame that proves corruption or -1). Nothing but zeros is
    CLEAN. A frame that still checks proves that the bad bytes before it are no torn end: CORRUPT; except for
    later frames of the last, never finished sync, which a disk may write in any order: TORN.
    """
    stop = last_nonzero(base, at, end)
    if stop == at:
        return 0, -1
    here = at
    while here + 16 <= stop:
        if frame_at(base, here, end) > 0:
            h = carray(pointer(base + here), 1, HEADER)[0]
            if h.frame_flags != 0 or here == at or np.int64(h.seq) <= seq:
                return 2, here
        here += 16
    return 1, -1
