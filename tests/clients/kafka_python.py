"""kafka-python, 2.0 to 3.0: `kafka_python.py BOOTSTRAP [MAJOR.MINOR.PATCH]`.

The second argument is the broker version that the client is told to assume; without it the client asks.
"""

import logging
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from session import Args, record, run

LARGEST = 8_000_000
PATIENCE_S = 90
LARGE_BYTES = 1 << 20


class Client:
    def __init__(self, bootstrap, version):
        self.common = {"bootstrap_servers": bootstrap, "client_id": "kafka-python"}
        self.assumed = version
        if version:
            self.common["api_version"] = version
        self.kept = None

    # The topics.

    def cluster(self, _):
        described = self._admin().describe_cluster()
        yield f"cluster {described['cluster_id'] or '-'} {len(described['brokers'])}"

    def create(self, args):
        topic = NewTopic(args.text("topic"), args.number("partitions", 1), 1, topic_configs=args.pairs("config"))
        self._admin().create_topics([topic])
        return ()

    def delete(self, args):
        self._admin().delete_topics([args.text("topic")])
        return ()

    def describe(self, args):
        if self.assumed:
            for partition in sorted(self._consumer().partitions_for_topic(args.text("topic"))):
                yield f"partition {partition}"
            return
        (topic,) = self._admin().describe_topics([args.text("topic")])
        partitions = (p.get("partition_index", p.get("partition")) for p in topic["partitions"])
        for partition in sorted(partitions):
            yield f"partition {partition}"

    # The records.

    def produce(self, args):
        producer = self.kept or self._producer(args)
        sent = []
        for i, key, value, headers, timestamp in args.records():
            options = {"headers": headers} if headers else {}
            promise = producer.send(
                args.text("topic"), value, key, partition=args.partition(), timestamp_ms=timestamp, **options)
            if len(value or b"") > LARGE_BYTES and args.text("acks") != "0":
                # 2.0 may forget the rest of a request that its socket would not take behind another one.
                promise.get(PATIENCE_S)
            sent.append((i, promise))
        producer.flush(PATIENCE_S)
        for i, promise in sent:
            offset = promise.get(PATIENCE_S).offset
            yield f"sent {i} {-1 if offset is None else offset}"
        if args.flag("keep"):
            self.kept = producer
        elif not self.kept:
            if args.text("acks") == "0":
                # Nothing tells when these are written out, and 2.3 drops what is not when it closes.
                time.sleep(0.3)
            producer.close()

    def consume(self, args):
        consumer, partition = self._assigned(args)
        self._seek(consumer, partition, args.text("from"))
        left, deadline = args.number("count"), time.monotonic() + args.number("patience", PATIENCE_S)
        while left > 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} records are missing")
            for got in consumer.poll(500).get(partition, [])[:left]:
                left -= 1
                yield record(got.partition, got.offset, got.timestamp, got.key, got.value, getattr(got, "headers", []))
        consumer.close()

    def offsets(self, args):
        consumer, partition = self._assigned(args)
        if args.number("at") is None:
            first = consumer.beginning_offsets([partition])[partition]
            yield f"offsets {first} {consumer.end_offsets([partition])[partition]}"
        else:
            found = consumer.offsets_for_times({partition: args.number("at")})[partition]
            yield f"found {found.offset if found else -1}"
        consumer.close()

    # The objects of the client.

    def _admin(self):
        return KafkaAdminClient(**self.common)

    def _producer(self, args):
        acks = args.text("acks", "all")
        codec = args.text("codec", "none")
        options = {"enable_idempotence": args.flag("idempotent")} if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG else {}
        return KafkaProducer(
            acks=acks if acks == "all" else int(acks),
            compression_type=None if codec == "none" else codec,
            linger_ms=20,
            max_request_size=LARGEST,
            **options,
            **self.common,
        )

    def _consumer(self):
        # Before 0.11 a fetch does not grow for a record that is larger than its limit.
        limits = {"max_partition_fetch_bytes": LARGEST} if self.assumed else {}
        return KafkaConsumer(group_id=None, enable_auto_commit=False, auto_offset_reset="none", **limits, **self.common)

    def _assigned(self, args):
        consumer, partition = self._consumer(), TopicPartition(args.text("topic"), args.partition())
        consumer.assign([partition])
        return consumer, partition

    def _seek(self, consumer, partition, start):
        if start == "earliest":
            consumer.seek_to_beginning(partition)
        elif start == "latest":
            consumer.seek_to_end(partition)
        elif start.startswith("@"):
            found = consumer.offsets_for_times({partition: int(start[1:])})[partition]
            consumer.seek(partition, found.offset)
        else:
            consumer.seek(partition, int(start))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    assumed = tuple(int(part) for part in sys.argv[2].split(".")) if len(sys.argv) > 2 else None
    run(Client(sys.argv[1], assumed))
