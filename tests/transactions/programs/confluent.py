"""confluent-kafka, which is librdkafka: `confluent.py BOOTSTRAP`. The lines are described in client.rs."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from lines import answer

PATIENCE_S = 60


class Transactor:
    def __init__(self, bootstrap):
        self.common = {"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200}
        self.producers = {}
        self.members = {}

    def init(self, line):
        producer = Producer({
            **self.common,
            "transactional.id": line["id"],
            "transaction.timeout.ms": int(line.get("timeout", 60000)),
            "linger.ms": 0,
        })
        producer.init_transactions(PATIENCE_S)
        self.producers[line["as"]] = producer

    def begin(self, line):
        self.producers[line["as"]].begin_transaction()

    def commit(self, line):
        self.producers[line["as"]].commit_transaction(PATIENCE_S)

    def abort(self, line):
        self.producers[line["as"]].abort_transaction(PATIENCE_S)

    def send(self, line):
        self._send(line["as"], line["topic"], int(line["partition"]), line["values"].split(","))

    def _send(self, name, topic, partition, values):
        errors = []
        for value in values:
            self.producers[name].produce(
                topic, value, partition=partition, on_delivery=lambda error, _: errors.append(error))
        if self.producers[name].flush(PATIENCE_S):
            raise TimeoutError("not everything was delivered")
        for error in filter(None, errors):
            raise RuntimeError(error)

    def copy(self, line):
        consumer = self._consumer(line["group"])
        consumer.subscribe([line["from"]])
        records = self._records(consumer, 0)
        read = [next(records) for _ in range(int(line["count"]))]
        self.begin(line)
        self._send(line["as"], line["into"], 0, [record.value() for record in read])
        after = TopicPartition(line["from"], 0, read[-1].offset() + 1)
        self.producers[line["as"]].send_offsets_to_transaction(
            [after], consumer.consumer_group_metadata(), PATIENCE_S)
        getattr(self, line["end"])(line)
        consumer.close()

    def join(self, line):
        joining = Member(self._consumer(line["group"]))
        joining.consumer.subscribe([line["topic"]])
        self.members[line["as"]] = joining
        deadline = time.monotonic() + PATIENCE_S
        while not joining.consumer.assignment() or line["reads"] == "1" and not joining.after:
            if time.monotonic() > deadline:
                raise TimeoutError("the group has no place, or no record")
            for member in self.members.values():
                member.poll()

    def move(self, line):
        member = self.members[line["of"]]
        self.producers[line["as"]].send_offsets_to_transaction(member.after, member.group, PATIENCE_S)

    def leave(self, line):
        self.members[line["as"]].leave()

    def read(self, line):
        consumer = self._consumer("none")
        consumer.assign([TopicPartition(line["topic"], int(line["partition"]), OFFSET_BEGINNING)])
        for record in self._records(consumer, int(line["partition"])):
            yield f"value {record.offset()} {record.value().decode()}"
            if record.value().decode() == line["until"]:
                break
        consumer.close()

    def _consumer(self, group):
        return Consumer({
            **self.common,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
        })

    def _records(self, consumer, partition):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            record = consumer.poll(0.1)
            if record is None or record.partition() != partition:
                continue
            if record.error():
                raise RuntimeError(record.error())
            yield record
        raise TimeoutError("records are missing")


class Member:
    """One that keeps what it was when it read its first record."""

    def __init__(self, consumer):
        self.consumer = consumer
        self.after = []
        self.group = None
        self.has_left = False

    def leave(self):
        self.consumer.close()
        self.has_left = True

    def poll(self):
        record = None if self.has_left else self.consumer.poll(0.1)
        if record is not None and not record.error() and not self.after:
            self.after = [TopicPartition(record.topic(), record.partition(), record.offset() + 1)]
            self.group = self.consumer.consumer_group_metadata()


if __name__ == "__main__":
    answer(Transactor(sys.argv[1]))
