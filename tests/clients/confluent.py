"""confluent-kafka, which is librdkafka: `confluent.py BOOTSTRAP`."""

import sys
import time

from confluent_kafka import OFFSET_INVALID, TIMESTAMP_NOT_AVAILABLE, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from session import Args, record, run

LARGEST = 8_000_000
PATIENCE_S = 90
STARTS = {"earliest": -2, "latest": -1}


class Client:
    def __init__(self, bootstrap):
        self.common = {"bootstrap.servers": bootstrap, "client.id": "confluent-kafka", "log_level": 0}
        self.admin = AdminClient(self.common)
        self.kept = None

    # The topics.

    def cluster(self, _):
        described = self.admin.describe_cluster().result(PATIENCE_S)
        yield f"cluster {described.cluster_id or '-'} {len(described.nodes)}"

    def create(self, args):
        topic = NewTopic(args.text("topic"), args.number("partitions", 1), config=args.pairs("config"))
        self.admin.create_topics([topic])[args.text("topic")].result(PATIENCE_S)
        return ()

    def delete(self, args):
        self.admin.delete_topics([args.text("topic")])[args.text("topic")].result(PATIENCE_S)
        return ()

    def describe(self, args):
        topic = self.admin.list_topics(args.text("topic"), PATIENCE_S).topics[args.text("topic")]
        if topic.error:
            raise RuntimeError(topic.error)
        for partition in sorted(topic.partitions):
            yield f"partition {partition}"

    # The records.

    def produce(self, args):
        producer = self.kept or self._producer(args)
        told = []
        for i, key, value, headers, timestamp in args.records():
            producer.produce(
                args.text("topic"), value, key, args.partition(), headers=headers,
                timestamp=0 if timestamp is None else timestamp,
                on_delivery=lambda error, message, i=i: told.append((i, error, message.offset())))
        if producer.flush(PATIENCE_S):
            raise TimeoutError("not everything was delivered")
        for i, error, offset in told:
            if error:
                raise RuntimeError(error)
            yield f"sent {i} {-1 if offset in (None, OFFSET_INVALID) else offset}"
        if args.flag("keep"):
            self.kept = producer

    def consume(self, args):
        consumer, partition = self._consumer(), TopicPartition(args.text("topic"), args.partition())
        partition.offset = self._start(consumer, partition, args.text("from"))
        consumer.assign([partition])
        left, deadline = args.number("count"), time.monotonic() + args.number("patience", PATIENCE_S)
        while left > 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} records are missing")
            got = consumer.poll(0.5)
            if got is None:
                continue
            if got.error():
                raise RuntimeError(got.error())
            left -= 1
            kind, timestamp = got.timestamp()
            timestamp = None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp
            yield record(got.partition(), got.offset(), timestamp, got.key(), got.value(), got.headers())
        consumer.close()

    def offsets(self, args):
        consumer, partition = self._consumer(), TopicPartition(args.text("topic"), args.partition())
        if args.number("at") is None:
            first, last = consumer.get_watermark_offsets(partition, PATIENCE_S)
            yield f"offsets {first} {last}"
        else:
            yield f"found {self._start(consumer, partition, '@' + args.text('at'))}"
        consumer.close()

    # The objects of the client.

    def _producer(self, args):
        return Producer({
            **self.common,
            "acks": args.text("acks", "all"),
            "compression.type": args.text("codec", "none"),
            "enable.idempotence": args.flag("idempotent"),
            "linger.ms": 20,
            "message.max.bytes": LARGEST,
        })

    def _consumer(self):
        # The group is never asked for: nothing is subscribed to and nothing committed.
        return Consumer({
            **self.common,
            "group.id": "none",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        })

    def _start(self, consumer, partition, start):
        if start.startswith("@"):
            partition.offset = int(start[1:])
            return consumer.offsets_for_times([partition], PATIENCE_S)[0].offset
        return STARTS[start] if start in STARTS else int(start)


if __name__ == "__main__":
    run(Client(sys.argv[1]))
