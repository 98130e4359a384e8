"""The loop of the Python copiers: read as the member of a group, change, write, and move the offsets, all in one
transaction; one of four is aborted at random and read again.

`PROGRAM BOOTSTRAP INPUT OUTPUT` copies for ever; the name of the output is also that of the group and the transactional
id. It ends when its client cannot go on, and is then to be started again. A client is an object of these methods:

    read(count)       -> at most so many records of the input, as (partition, offset, value), in order; none is all right
    begin()
    send(records)     (partition, value) each, to the same partition of the output; back when they are acknowledged
    offsets(next)     {partition: offset} is where the group stands with this transaction
    commit()
    abort()
    rewind()          reads again from where the group stands
"""

import random
import signal
import sys

MOST_RECORDS = 40
ABORTED = 0.25
# A client may wait for ever for what a crash has taken away. Then the process ends.
PATIENCE_S = 20


class Unlucky(Exception):
    """This transaction is to be aborted."""


def copy(client_of):
    client = client_of(*sys.argv[1:])
    while True:
        signal.alarm(PATIENCE_S)
        records = client.read(random.randint(1, MOST_RECORDS))
        if not records:
            continue
        try:
            one(client, records)
        except Exception:  # Whatever it was: what can be aborted can be done again, and nothing else can go on.
            client.abort()
            client.rewind()


def one(client, records):
    client.begin()
    client.send([(partition, b"copy of " + value) for partition, _, value in records])
    client.offsets({partition: offset + 1 for partition, offset, _ in records})
    if random.random() < ABORTED:
        raise Unlucky
    client.commit()
