"""The half that the Python members share: the lines on stdin and stdout, and what is told of a partition.

The lines are described in `member.rs`, which is their other end. A member is an object with three methods:
`poll()` answers the records of a batch as (partition, offset, value), `commit({partition: offset})` returns
when the broker has acknowledged, and `close()` leaves the group.
"""

import os
import sys
import threading

# The least that Apache Kafka allows, and for members that are to be restarted within it.
SESSION_TIMEOUT_MS = 6000
STATIC_SESSION_TIMEOUT_MS = 30_000
HEARTBEAT_MS = 500
POLL_LIMIT_MS = 30_000
FETCH_WAIT_MS = 100
BACKOFF_MS = 200


class Arguments:
    """The words of the command line."""

    def __init__(self):
        self.bootstrap, self.group, self.topic, self.assignor, *further = sys.argv[1:]
        self.instance = further[0] if further else None
        self.session_timeout_ms = STATIC_SESSION_TIMEOUT_MS if further else SESSION_TIMEOUT_MS


def say(line):
    """One write, so that the line is there as a whole when the process is killed."""
    os.write(1, (line + "\n").encode())


class Owned:
    """The partitions that the member has, as the rebalance callbacks tell it."""

    def __init__(self):
        self._partitions = set()

    def add(self, partitions):
        self._partitions.update(partitions)
        self._tell()

    def remove(self, partitions):
        self._partitions.difference_update(partitions)
        self._tell()

    def _tell(self):
        say("assigned " + (",".join(map(str, sorted(self._partitions))) or "-"))


def run(member):
    """Processes and commits until stdin says `stop` or ends."""
    stop = threading.Event()
    threading.Thread(target=_wait_for_stop, args=(stop,), daemon=True).start()
    try:
        while not stop.is_set():
            _turn(member)
        member.close()
    except Exception as error:  # Whatever a client raises here ends the member.
        say("failed " + _sentence(error))
        os._exit(1)
    say("left")
    # Threads of the client that linger may not hold the process up.
    os._exit(0)


def _wait_for_stop(stop):
    sys.stdin.readline()
    stop.set()


def _turn(member):
    processed = {}
    for partition, offset, value in member.poll():
        say(f"got {partition} {offset} {value.decode()}")
        processed[partition] = offset + 1
    if not processed:
        return
    try:
        member.commit(processed)
    except Exception as error:  # What was not committed is processed again by whoever has it next.
        say("refused " + _sentence(error))
        return
    say("committed " + ",".join(f"{partition}:{offset}" for partition, offset in sorted(processed.items())))


def _sentence(error):
    return " ".join(f"{type(error).__name__}: {error}".split())
