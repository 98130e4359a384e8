"""confluent-kafka, which is librdkafka: `confluent.py BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]`."""

from confluent_kafka import Consumer, TopicPartition
import member

BATCH = 500


class Member:
    def __init__(self, arguments):
        static = {"group.instance.id": arguments.instance} if arguments.instance else {}
        self.topic = arguments.topic
        self.owned = member.Owned()
        self.consumer = Consumer({
            "bootstrap.servers": arguments.bootstrap,
            "log_level": 0,
            "group.id": arguments.group,
            "partition.assignment.strategy": arguments.assignor,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": arguments.session_timeout_ms,
            "heartbeat.interval.ms": member.HEARTBEAT_MS,
            "max.poll.interval.ms": member.POLL_LIMIT_MS,
            "fetch.wait.max.ms": member.FETCH_WAIT_MS,
            "reconnect.backoff.max.ms": member.BACKOFF_MS,
            **static,
        })
        self.consumer.subscribe(
            [self.topic],
            on_assign=lambda _, partitions: self.owned.add(p.partition for p in partitions),
            on_revoke=lambda _, partitions: self.owned.remove(p.partition for p in partitions),
        )

    def poll(self):
        for message in self.consumer.consume(BATCH, 0.1):
            # What is an error here, a broker that is away, the client itself gets over.
            if not message.error():
                yield message.partition(), message.offset(), message.value()

    def commit(self, processed):
        offsets = [TopicPartition(self.topic, partition, offset) for partition, offset in processed.items()]
        for committed in self.consumer.commit(offsets=offsets, asynchronous=False):
            if committed.error:
                raise RuntimeError(committed.error)

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    member.run(Member(member.Arguments()))
