"""Opens any ROS 1 or ROS 2 bag, whole or cut off, and hands out its messages topic by topic."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader
from rosbags.typesys import Stores, get_typestore

from mapt_ros.errors import InputError, first_line
from mapt_ros.replay.kitti import natural_key
from mapt_ros.replay.salvage import BagMessage, scan
from mapt_ros.replay.typestore import typestore

_FILES = (".bag", ".mcap", ".db3")


class BagTopic(NamedTuple):
    """Type and number of messages of one topic."""

    msgtype: str
    count: int


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: a ROS 1 file, a rosbag2 storage file, or a folder that holds such files."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file() or bool(_storage_files(path))
    return path.suffix in _FILES


class BagReader:
    """One bag: a ROS 1 ``.bag``, a rosbag2 folder, or a single ``.mcap`` or ``.db3`` file.

    What cannot be read of a damaged bag is left out and said in ``warnings``.

    Attributes:
        path: file or folder.
        topics: every topic with its type (``sensor_msgs/msg/Image``) and the number of readable messages.
        warnings: one line for each thing that was wrong; grows while messages are read.

    Raises:
        InputError: nothing at all can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self.is_ros1 = self.path.suffix == ".bag"
        self._store = get_typestore(Stores.ROS1_NOETIC) if self.is_ros1 else typestore()
        self._cut = False
        if not self.path.exists():
            raise InputError(f"{self.path}: no such file or folder; expected a ROS 1 bag or a rosbag2")
        try:
            with self._reader() as reader:
                self.topics = {
                    name: BagTopic(topic.msgtype or topic.connections[0].msgtype, topic.msgcount)
                    for name, topic in reader.topics.items()
                }
        except PermissionError:
            raise InputError(f"{self.path}: permission denied") from None
        # Readers report damage by many types, assertions and struct errors among them; the scan needs no index.
        except Exception as error:  # noqa: BLE001
            self._cut = True
            self.topics = {}
            for message in self._scan():
                count = self.topics[message.topic].count if message.topic in self.topics else 0
                self.topics[message.topic] = BagTopic(message.msgtype, count + 1)
            reason = first_line(error)
            if not self.topics:
                raise InputError(f"{self.path}: no message can be read from this bag ({reason})") from None
            total = sum(topic.count for topic in self.topics.values())
            self.warnings.append(f"{self.path}: the bag is cut off or damaged ({reason}); {total} messages can be read")

    def messages(self, topic: str) -> Iterator[tuple[int, object]]:
        """Time of recording (ns) and deserialized message of one topic, in the order of recording.

        The messages are rosbags's dataclasses: the fields of the ROS message, arrays as NumPy arrays.
        """
        deserialize = self._store.deserialize_ros1 if self.is_ros1 else self._store.deserialize_cdr
        for message, decoded in self._each([topic], lambda m: deserialize(m.data, m.msgtype)):
            yield message.recorded_ns, decoded

    def serialized(self, topics: Sequence[str]) -> Iterator[BagMessage]:
        """The messages of several topics as ROS 2's CDR, in the order of recording."""
        # By ROS 2's definitions: they are the same on the wire, but for the header's seq, which rosbags leaves out.
        to_cdr = typestore().ros1_to_cdr if self.is_ros1 else lambda data, _: data
        for message, data in self._each(topics, lambda m: to_cdr(m.data, m.msgtype)):
            yield message._replace(data=data)

    def _each(self, topics: Sequence[str], read: Callable[[BagMessage], object]) -> Iterator[tuple[BagMessage, object]]:
        """Every message of the topics with what ``read`` makes of it, up to the first that cannot be read."""
        done = 0
        count = sum(self.topics[topic].count for topic in topics)
        raw = (m for m in (self._scan() if self._cut else self._indexed(topics)) if m.topic in topics)
        reason = "the file ends early"
        while done < count:
            try:
                message = next(raw, None)
                if message is None:
                    break
                value = read(message)
            except Exception as error:  # noqa: BLE001 - as above
                reason = first_line(error)
                break
            done += 1
            yield message, value
        if done < count:
            names = ", ".join(topics)
            self.warnings.append(f"{self.path}: {names} breaks off after {done} of {count} messages ({reason})")

    def _reader(self) -> Ros1Reader | Ros2Reader:
        return Ros1Reader(self.path) if self.is_ros1 else Ros2Reader(self.path)

    def _indexed(self, topics: Sequence[str]) -> Iterator[BagMessage]:
        with self._reader() as reader:
            chosen = [connection for connection in reader.connections if connection.topic in topics]
            for connection, recorded_ns, data in reader.messages(connections=chosen):
                yield BagMessage(connection.topic, connection.msgtype, recorded_ns, data)

    def _scan(self) -> Iterator[BagMessage]:
        for file in _storage_files(self.path) if self.path.is_dir() else [self.path]:
            yield from scan(file)


def _storage_files(folder: Path) -> list[Path]:
    return sorted((f for f in folder.iterdir() if f.suffix in (".mcap", ".db3")), key=natural_key)
