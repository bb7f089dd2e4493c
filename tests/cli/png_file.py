# SPDX-License-Identifier: BSD-3-Clause
"""Reads the PNG files that our programs write: 8 bits a channel, RGB, not interlaced."""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data):
    at = len(SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length:at + 12 + length])
        if zlib.crc32(kind + body) != crc:
            raise ValueError(f"chunk {kind} is damaged")
        yield kind, body
        at += 12 + length


def paeth(left, above, corner):
    guess = left + above - corner
    nearest = min((abs(guess - left), 0, left), (abs(guess - above), 1, above),
                  (abs(guess - corner), 2, corner))
    return nearest[2]


def unfilter(kind, line, before):
    out = bytearray(line)
    for i, value in enumerate(line):
        left = out[i - 3] if i >= 3 else 0
        corner = before[i - 3] if i >= 3 else 0
        guess = (0, left, before[i], (left + before[i]) // 2,
                 paeth(left, before[i], corner))[kind]
        out[i] = (value + guess) & 255
    return out


def read(path):
    """(width, height, rows of pixels as (red, green, blue)); ValueError when it is no such file."""
    with open(path, "rb") as file:
        data = file.read()
    if not data.startswith(SIGNATURE):
        raise ValueError("no PNG")
    header, packed, last = None, b"", b""
    for last, body in chunks(data):
        if last == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif last == b"IDAT":
            packed += body
    if header is None or last != b"IEND" or header[2:5] != (8, 2, 0) or header[6] != 0:
        raise ValueError(f"not 8-bit RGB: {header}")
    width, height = header[:2]
    raw, step = zlib.decompress(packed), 3 * width + 1
    rows, before = [], bytes(3 * width)
    for y in range(height):
        before = unfilter(raw[y * step], raw[y * step + 1:(y + 1) * step], before)
        rows.append([tuple(before[x:x + 3]) for x in range(0, 3 * width, 3)])
    return width, height, rows
