"""kafka-python, 2.0 to 3.0: `kafka_python.py BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]`."""

import importlib
import logging

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata
import member

ASSIGNORS = {
    "range": ("range", "RangePartitionAssignor"),
    "roundrobin": ("roundrobin", "RoundRobinPartitionAssignor"),
    "cooperative-sticky": ("cooperative_sticky", "CooperativeStickyAssignor"),
}


# Long, as 3.0 loses its assignment when the time of a poll is over just as that arrives. Records end a poll earlier.
POLL_MS = 5000


class Listener(ConsumerRebalanceListener):
    def __init__(self):
        self._owned = member.Owned()

    def on_partitions_assigned(self, assigned):
        self._owned.add(partition for _, partition in assigned)

    def on_partitions_revoked(self, revoked):
        self._owned.remove(partition for _, partition in revoked)


class Member:
    def __init__(self, arguments):
        module, name = ASSIGNORS[arguments.assignor]
        module = importlib.import_module("kafka.coordinator.assignors." + module)
        static = {"group_instance_id": arguments.instance} if arguments.instance else {}
        self.topic = arguments.topic
        self.consumer = KafkaConsumer(
            bootstrap_servers=arguments.bootstrap,
            group_id=arguments.group,
            partition_assignment_strategy=[getattr(module, name)],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=arguments.session_timeout_ms,
            heartbeat_interval_ms=member.HEARTBEAT_MS,
            max_poll_interval_ms=member.POLL_LIMIT_MS,
            fetch_max_wait_ms=member.FETCH_WAIT_MS,
            reconnect_backoff_max_ms=member.BACKOFF_MS,
            **static,
        )
        self.consumer.subscribe([self.topic], listener=Listener())

    def poll(self):
        for records in self.consumer.poll(POLL_MS).values():
            for record in records:
                yield record.partition, record.offset, record.value

    def commit(self, processed):
        # The last field, the leader's epoch, came with 2.1.
        further = (-1,) if "leader_epoch" in OffsetAndMetadata._fields else ()
        self.consumer.commit({
            TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", *further)
            for partition, offset in processed.items()
        })

    def close(self):
        self.consumer.close()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    member.run(Member(member.Arguments()))
