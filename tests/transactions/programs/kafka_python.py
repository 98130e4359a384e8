"""kafka-python 3: `kafka_python.py BOOTSTRAP`. The lines are described in client.rs."""

import logging
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from lines import answer

PATIENCE_S = 60


class Transactor:
    def __init__(self, bootstrap):
        self.common = {"bootstrap_servers": bootstrap, "reconnect_backoff_max_ms": 200}
        self.producers = {}

    def init(self, line):
        producer = KafkaProducer(
            transactional_id=line["id"], transaction_timeout_ms=int(line.get("timeout", 60000)), **self.common)
        producer.init_transactions()
        self.producers[line["as"]] = producer

    def begin(self, line):
        self.producers[line["as"]].begin_transaction()

    def commit(self, line):
        self.producers[line["as"]].commit_transaction()

    def abort(self, line):
        self.producers[line["as"]].abort_transaction()

    def send(self, line):
        values = [value.encode() for value in line["values"].split(",")]
        self._send(line["as"], line["topic"], int(line["partition"]), values)

    def _send(self, name, topic, partition, values):
        for promise in [self.producers[name].send(topic, value, partition=partition) for value in values]:
            promise.get(PATIENCE_S)

    def copy(self, line):
        consumer, partition = self._consumer(line["group"]), TopicPartition(line["from"], 0)
        consumer.subscribe([line["from"]])
        records = self._records(consumer, partition)
        read = [next(records) for _ in range(int(line["count"]))]
        self.begin(line)
        self._send(line["as"], line["into"], 0, [record.value for record in read])
        after = {partition: OffsetAndMetadata(read[-1].offset + 1, "", -1)}
        self.producers[line["as"]].send_offsets_to_transaction(after, consumer.group_metadata())
        getattr(self, line["end"])(line)
        consumer.close()

    def read(self, line):
        consumer, partition = self._consumer(None), TopicPartition(line["topic"], int(line["partition"]))
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        for record in self._records(consumer, partition):
            yield f"value {record.offset} {record.value.decode()}"
            if record.value.decode() == line["until"]:
                break
        consumer.close()

    def _consumer(self, group):
        return KafkaConsumer(
            group_id=group, isolation_level="read_committed", enable_auto_commit=False,
            auto_offset_reset="earliest", fetch_max_wait_ms=100, **self.common)

    def _records(self, consumer, partition):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            # It comes to nothing when a poll is over before its rebalance is.
            yield from consumer.poll(5000).get(partition, [])
        raise TimeoutError("records are missing")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    answer(Transactor(sys.argv[1]))
