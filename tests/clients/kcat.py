"""kcat, which is an old librdkafka (2.0.2 in Debian 12) behind a command: `kcat.py BOOTSTRAP`.

kcat knows no admin calls, gives every record of a run the same headers and lets nobody set a timestamp.
It says nothing about the records that were sent, so `produce` yields no facts.
"""

import re
import subprocess
import sys

from session import Args, record, run

PATIENCE_S = 90
STARTS = {"earliest": "beginning", "latest": "end"}
# What divides a key from its value, and one record from the next; no contents hold them.
KEY_END, RECORD_END = b"<=>", b"<|>"
# Lengths are -1 for null; names and values of headers hold no comma.
FORMAT = "%p %o %T %K %S %h\n%k%s"


class Client:
    def __init__(self, bootstrap):
        self.command = ["kcat", "-b", bootstrap, "-X", "log_level=0"]

    def cluster(self, _):
        listed = self._kcat("-L").decode()
        brokers = re.findall(r"^  broker ", listed, re.MULTILINE)
        yield f"cluster - {len(brokers)}"

    def describe(self, args):
        listed = self._kcat("-L", "-t", args.text("topic")).decode()
        for partition in re.findall(r"^    partition (\d+),", listed, re.MULTILINE):
            yield f"partition {partition}"

    def produce(self, args):
        topic, shown = args.text("topic"), []
        headers = []
        for _, key, value, headers, _ in args.records():
            shown.append((key or b"") + KEY_END + (value or b""))
        options = ["-Z", "-K", KEY_END.decode(), "-D", RECORD_END.decode()]
        for name, data in headers:
            options += ["-H", name if data is None else f"{name}={data.decode()}"]
        for name, setting in {
            "acks": args.text("acks", "all"),
            "compression.codec": args.text("codec", "none"),
            "enable.idempotence": "true" if args.flag("idempotent") else "false",
            "linger.ms": "20",
            "message.max.bytes": "8000000",
        }.items():
            options += ["-X", f"{name}={setting}"]
        self._kcat("-P", "-t", topic, "-p", str(args.partition()), *options, stdin=RECORD_END.join(shown))
        return ()

    def consume(self, args):
        start, count = args.text("from"), args.number("count")
        start = f"s@{start[1:]}" if start.startswith("@") else STARTS.get(start, start)
        rest = self._kcat(
            "-C", "-q", "-t", args.text("topic"), "-p", str(args.partition()), "-o", start, "-c", str(count), "-f", FORMAT,
            patience=args.number("patience", PATIENCE_S))
        for _ in range(count):
            line, rest = rest.split(b"\n", 1)
            partition, offset, timestamp, key_len, value_len, headers = line.decode().split(" ", 5)
            key, rest = take(rest, int(key_len))
            value, rest = take(rest, int(value_len))
            yield record(partition, offset, int(timestamp), key, value, parse_headers(headers))

    def offsets(self, args):
        where = f"{args.text('topic')}:{args.partition()}"
        if args.number("at") is None:
            yield f"offsets {self._offset(where, -2)} {self._offset(where, -1)}"
        else:
            yield f"found {self._offset(where, args.number('at'))}"

    def _offset(self, where, timestamp):
        return self._kcat("-Q", "-t", f"{where}:{timestamp}").decode().split()[-1]

    def _kcat(self, *options, stdin=b"", patience=PATIENCE_S):
        done = subprocess.run([*self.command, *options], input=stdin, capture_output=True, timeout=patience)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout


def take(data, length):
    """The field of so many bytes in front, None for -1, and what is behind it."""
    return (None, data) if length < 0 else (data[:length], data[length:])


def parse_headers(shown):
    pairs = [pair.partition("=") for pair in shown.split(",") if pair]
    return [(name, None if data == "NULL" else data.encode()) for name, _, data in pairs]


if __name__ == "__main__":
    run(Client(sys.argv[1]))
