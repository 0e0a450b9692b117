"""Ogg pages by hand, so that a stream can say anything (RFC 3533)."""

from __future__ import annotations

import struct


def _crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8) & 0xFFFFFFFF ^ CRC_OF_BYTE[crc >> 24 ^ byte]
    return crc


def _crc_of_byte(byte: int) -> int:
    crc = byte << 24
    for _ in range(8):
        crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


CRC_OF_BYTE = [_crc_of_byte(byte) for byte in range(256)]


def page(lacing: list[int], body: bytes, serial: int = 1, number: int = 0, flags: int = 0) -> bytes:
    """Return one page; a lacing value of 255 says that the packet goes on."""
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, number, 0, len(lacing)) + bytes(lacing)
    data = bytearray(head + body)
    data[22:26] = struct.pack("<I", _crc(bytes(data)))
    return bytes(data)


def opus_headers(serial: int = 1) -> bytes:
    """Return the two pages with which an Ogg-Opus stream begins (RFC 7845)."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    return page([len(head)], head, serial, 0, 2) + page([len(tags)], tags, serial, 1)
