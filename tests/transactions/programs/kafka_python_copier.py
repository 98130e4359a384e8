"""A copier of kafka-python 3. See copies.py.

kafka-python 3.0.12 never comes back from a poll whose time ends within a rebalance, and asks without a pause: so every
poll here has time enough, and the alarm of copies.py ends what hangs all the same.
"""

import logging

from copies import PATIENCE_S, copy
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

POLL_MS = 5000


class Copier:
    def __init__(self, bootstrap, source, output):
        common = {"bootstrap_servers": bootstrap, "reconnect_backoff_ms": 20, "reconnect_backoff_max_ms": 100}
        self.source, self.output = source, output
        self.producer = KafkaProducer(transactional_id=output, retry_backoff_ms=20, **common)
        # Before anything is read: where the group stands is known when the last instance's transaction has ended.
        self.producer.init_transactions()
        self.consumer = KafkaConsumer(
            source, group_id=output, isolation_level="read_committed", enable_auto_commit=False,
            auto_offset_reset="earliest", session_timeout_ms=6000, heartbeat_interval_ms=1000, fetch_max_wait_ms=100,
            retry_backoff_ms=20, **common)

    def read(self, count):
        read = self.consumer.poll(POLL_MS, max_records=count)
        return [(record.partition, record.offset, record.value) for records in read.values() for record in records]

    def begin(self):
        self.producer.begin_transaction()

    def send(self, records):
        promises = [self.producer.send(self.output, value, partition=partition) for partition, value in records]
        for promise in promises:
            promise.get(PATIENCE_S)

    def offsets(self, after):
        places = {
            TopicPartition(self.source, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in after.items()
        }
        self.producer.send_offsets_to_transaction(places, self.consumer.group_metadata())

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.abort_transaction()

    def rewind(self):
        for place in self.consumer.assignment():
            self.consumer.seek(place, self.consumer.committed(place) or 0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    copy(Copier)
