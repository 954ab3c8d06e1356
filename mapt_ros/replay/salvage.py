"""Reads what is left of a bag that was cut off or never closed: a front-to-back scan that needs no index at the end.

Formats: rosbag 2.0 (wiki.ros.org/Bags/Format/2.0), MCAP (mcap.dev/spec), rosbag2's SQLite schema.
"""

import bz2
import io
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

import apsw
import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


_PAGE_SIZES = [512 << i for i in range(8)]  # those that SQLite knows


class BagMessage(NamedTuple):
    """One recorded message: topic, type (``sensor_msgs/msg/Image``), time of recording in ns, serialized bytes."""

    topic: str
    msgtype: str
    recorded_ns: int
    data: bytes


def scan(path: Path) -> Iterator[BagMessage]:
    """The messages of one ``.bag``, ``.mcap`` or ``.db3`` file in the order of the file, until it ends or breaks off."""
    suffix = path.suffix
    if suffix == ".db3":
        yield from _scan_sqlite(path)
    else:
        with path.open("rb") as file:
            try:
                yield from _scan_mcap(file) if suffix == ".mcap" else _scan_ros1(file)
            # Half a record, half a compressed block, a length that cannot be, an empty field: damage has many types.
            except Exception:  # noqa: BLE001
                return


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size) if size >= 0 else b""
    if len(data) != size:
        raise EOFError
    return data


def _scan_mcap(file: BinaryIO) -> Iterator[BagMessage]:
    if file.read(8) != b"\x89MCAP0\r\n":
        return
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str] | None] = {}

    def records(source: BinaryIO) -> Iterator[BagMessage]:
        while (head := source.read(9)) and len(head) == 9:
            opcode, size = struct.unpack("<BQ", head)
            if opcode == 0x06:  # chunk: records of its own, perhaps compressed; may be the one that was cut
                _, _, _, _, name_size = struct.unpack("<QQQII", _exactly(source, 32))
                compression = _exactly(source, name_size).decode()
                (packed_size,) = struct.unpack("<Q", _exactly(source, 8))
                packed = source.read(packed_size)
                yield from records(io.BytesIO(_unpack(packed, compression, whole=len(packed) == packed_size)))
                _exactly(source, size - 40 - name_size - packed_size)
                continue
            record = _exactly(source, size)
            if opcode == 0x03:
                schemas[struct.unpack_from("<H", record)[0]] = _string(record, 2)[0]
            elif opcode == 0x04:
                channel, schema = struct.unpack_from("<HH", record)
                topic, end = _string(record, 4)
                # Other encodings (ROS 1's, JSON) are nothing that ROS 2 types could be read from.
                channels[channel] = (topic, schemas[schema]) if _string(record, end)[0] == "cdr" else None
            elif opcode == 0x05:
                channel, _, log_time, _ = struct.unpack_from("<HIQQ", record)
                if known := channels[channel]:
                    yield BagMessage(*known, log_time, record[22:])
            elif opcode == 0x0F:  # end of data; the summary repeats schemas and channels
                return

    yield from records(file)


def _unpack(packed: bytes, compression: str, *, whole: bool) -> bytes:
    """A chunk's records; of an uncompressed chunk also those before the cut."""
    if compression in ("", "none"):
        return packed
    if not whole:
        raise EOFError
    return {"zstd": zstd.decompress, "lz4": lz4.frame.decompress, "bz2": bz2.decompress}[compression](packed)


def _string(record: bytes, offset: int) -> tuple[str, int]:
    """A length-prefixed string and the offset behind it."""
    (size,) = struct.unpack_from("<I", record, offset)
    return record[offset + 4 : offset + 4 + size].decode(), offset + 4 + size


def _scan_ros1(file: BinaryIO) -> Iterator[BagMessage]:
    if file.readline(64) != b"#ROSBAG V2.0\n":
        return
    connections: dict[int, tuple[str, str]] = {}

    def records(source: BinaryIO) -> Iterator[BagMessage]:
        while head := source.read(4):
            header = _ros1_fields(_exactly(source, struct.unpack("<I", head)[0]))
            (size,) = struct.unpack("<I", _exactly(source, 4))
            data = source.read(size)
            whole = len(data) == size
            operation = header[b"op"][0]
            if operation == 0x05:
                yield from records(io.BytesIO(_unpack(data, header[b"compression"].decode(), whole=whole)))
            if not whole:
                raise EOFError
            if operation == 0x07:
                msgtype = _ros1_fields(data)[b"type"].decode()
                connections[_uint32(header[b"conn"])] = (header[b"topic"].decode(), msgtype.replace("/", "/msg/", 1))
            elif operation == 0x02:
                seconds, nanoseconds = struct.unpack("<II", header[b"time"])
                topic, msgtype = connections[_uint32(header[b"conn"])]
                yield BagMessage(topic, msgtype, seconds * 10**9 + nanoseconds, data)

    yield from records(file)


def _ros1_fields(header: bytes) -> dict[bytes, bytes]:
    fields = {}
    offset = 0
    while offset < len(header):
        (size,) = struct.unpack_from("<I", header, offset)
        name, _, value = header[offset + 4 : offset + 4 + size].partition(b"=")
        fields[name] = value
        offset += 4 + size
    return fields


def _uint32(data: bytes) -> int:
    return struct.unpack("<I", data)[0]


class _WholePages(apsw.VFS):
    """Shows SQLite a file only up to its last whole page; it would take the missing half of a page for zeros."""

    def __init__(self, page_size: int) -> None:
        self.name = f"whole-pages-{id(self)}"
        self.page_size = page_size
        super().__init__(self.name, "")

    def xOpen(self, name, flags):
        page_size = self.page_size

        class File(apsw.VFSFile):
            def xFileSize(self) -> int:
                size = super().xFileSize()
                return size - size % page_size

        return File("", name, flags)


def _scan_sqlite(path: Path) -> Iterator[BagMessage]:
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        return
    (page_size,) = struct.unpack(">H", header[16:18])
    page_size = 65536 if page_size == 1 else page_size
    if page_size not in _PAGE_SIZES:
        return
    pages = _WholePages(page_size)
    database = None
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        database = apsw.Connection(f"file:{quote(str(path.resolve()))}?immutable=1", flags=flags, vfs=pages.name)
        # Without this SQLite refuses a file that is shorter than its header says.
        database.pragma("writable_schema", 1)
        rows = database.execute(
            "SELECT name, type, timestamp, data FROM messages JOIN topics ON topics.id = topic_id"
            " WHERE serialization_format = 'cdr' ORDER BY messages.id"
        )
        yield from map(BagMessage._make, rows)
    except apsw.Error:
        return
    finally:
        if database is not None:
            database.close()
        pages.unregister()
