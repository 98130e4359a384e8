"""The half that the Python clients share: the session on stdin and stdout, and the contents of records.

The protocol is described in `session.rs`, which is its other end. A client is an object with one method
for each verb that it knows; the method takes the arguments of the line and yields facts.
"""

import zlib

from lines import answer


class Args:
    """The `name=value` words of one line."""

    def __init__(self, pairs):
        self._values = dict(pairs)

    def text(self, name, default=None):
        return self._values.get(name, default)

    def number(self, name, default=None):
        return int(self._values[name]) if name in self._values else default

    def flag(self, name):
        return self._values.get(name) == "1"

    def names(self, name):
        return [part for part in self._values.get(name, "").split(",") if part]

    def pairs(self, name):
        return dict(part.split(":", 1) for part in self.names(name))

    def partition(self):
        return self.number("partition", 0)

    def records(self):
        """Every record that a `produce` line asks for, as (i, key, value, headers, timestamp)."""
        topic, size, base = self.text("topic"), self.number("size"), self.number("ts")
        headers = [pair for pair in header_pairs(topic) if pair[0] in self.names("headers")]
        for i in range(self.number("first"), self.number("first") + self.number("count")):
            timestamp = None if base is None else base + i
            yield i, key(topic, i), value(topic, i, size), headers, timestamp


def key(topic, i):
    return None if i % 5 == 4 else f"{topic}-{i}".encode()


def value(topic, i, size=None):
    if i % 7 == 6 and i % 5 != 4:
        return None
    if size is None:
        size = 1 + i * i * 37 % 3000
    pattern = f"{topic}/{i}/".encode() + b"\x00\xff\n"
    return (pattern * (size // len(pattern) + 1))[:size]


def header_pairs(topic):
    return [("topic", topic.encode()), ("empty", b""), ("null", None)]


def record(partition, offset, timestamp, record_key, record_value, headers):
    """The fact about one record that was read; `timestamp` is None where the client knows none."""
    shown = ["-" if timestamp is None or timestamp < 0 else str(timestamp)]
    shown.append("-" if record_key is None else "=" + record_key.decode())
    shown.append("-" if record_value is None else f"{len(record_value)}:{zlib.crc32(record_value):08x}")
    pairs = [name if data is None else f"{name}={data.decode()}" for name, data in headers or []]
    shown.append(",".join(pairs) or "-")
    return f"record {partition} {offset} {' '.join(shown)}"


def run(client):
    """Answers lines until stdin ends."""
    answer(client, Args)
