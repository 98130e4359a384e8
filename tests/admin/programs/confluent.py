"""Every administrative call of confluent-kafka that a broker of topics and settings answers: `ADDRESS NAME`.

The lines on stdin and stdout are described in sweeps.rs, which is their other end.
"""

import sys
import time

from confluent_kafka import ConsumerGroupTopicPartitions, ElectionType, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from lines import answer

SET, DELETE = AlterConfigOpType.SET, AlterConfigOpType.DELETE
APPEND, SUBTRACT = AlterConfigOpType.APPEND, AlterConfigOpType.SUBTRACT


def told(call):
    """What a call has answered, or its error's code."""
    try:
        return call()
    except KafkaException as error:
        return error.args[0].name()
    except (TypeError, ValueError) as error:
        return type(error).__name__


class Sweep:
    def __init__(self, address, name):
        self._admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        self._name = name + "-"

    def _each(self, what, futures, shown=str):
        for key in sorted(futures, key=str):
            yield f"{what} {key}: {told(lambda: shown(futures[key].result()))}"

    def _await(self, topic, partitions):
        for _ in range(300):
            metadata = self._admin.list_topics(topic, timeout=10).topics[topic]
            if len(metadata.partitions) == partitions:
                return
            time.sleep(0.02)

    def topics(self, _):
        admin, name = self._admin, self._name
        wanted = [
            NewTopic(name + "good", 2, 1, config={"retention.ms": "-1"}),
            NewTopic(name + "wide", 1, 3),
            NewTopic(name + "assigned", 2, replica_assignment=[[1], [1]]),
            NewTopic(name + "nobody", 1, replica_assignment=[[7]]),
            NewTopic(name + "nope", 1, 1, config={"nope": "1"}),
            NewTopic(name + "range", 1, 1, config={"segment.bytes": "1"}),
            NewTopic("a/b", 1, 1),
        ]
        yield from self._each("judge", admin.create_topics(wanted, validate_only=True))
        yield from self._each("create", admin.create_topics(wanted))
        self._await(name + "good", 2)
        yield from self._each("create again", admin.create_topics(wanted[:1]))
        more = [NewPartitions(name + "good", 4), NewPartitions(name + "assigned", 1), NewPartitions("absent", 4)]
        yield from self._each("judge partitions", admin.create_partitions(more, validate_only=True))
        yield from self._each("partitions", admin.create_partitions(more))
        self._await(name + "good", 4)
        asked = TopicCollection([name + "good", "absent"])
        yield from self._each("describe", admin.describe_topics(asked), self._topic)
        good = TopicPartition(name + "good", 0)
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.max_timestamp(), OffsetSpec.for_timestamp(5)):
            yield from self._each("ends", admin.list_offsets({good: spec}), lambda it: f"{it.offset} {it.timestamp}")
        for offset in (0, 7):
            gone = admin.delete_records([TopicPartition(name + "good", 0, offset)])
            yield from self._each("delete records", gone, lambda it: it.low_watermark)
        elected = admin.elect_leaders(ElectionType.PREFERRED, [good, TopicPartition("absent", 0)])
        yield "elect: " + str(told(lambda: sorted((str(key.topic), error and error.name()) for key, error in elected.result().items())))
        yield from self._each("delete", admin.delete_topics([name + "assigned", "absent"]))

    @staticmethod
    def _topic(topic):
        return f"{topic.is_internal} {[(one.id, one.leader.id, len(one.isr)) for one in topic.partitions]}"

    def _set(self, kind, name, changes, **options):
        entries = [ConfigEntry(key, value, incremental_operation=op) for op, key, value in changes]
        resource = ConfigResource(kind, name, incremental_configs=entries)
        what = ", ".join(f"{op.name} {key}={value}" for op, key, value in changes)
        futures = told(lambda: self._admin.incremental_alter_configs([resource], **options))
        if isinstance(futures, str):
            return [f"alter {kind.name} {name} {what}: {futures}"]
        return [f"alter {kind.name} {name} {what}: {told(future.result)}" for future in futures.values()]

    def _described(self, what, kind, name):
        for future in self._admin.describe_configs([ConfigResource(kind, name)]).values():
            entries = told(future.result)
            if isinstance(entries, str):
                yield f"{what} {kind.name} {name}: {entries}"
                continue
            for entry in sorted(entries.values(), key=lambda one: one.name):
                # What Kafka 4 sets for itself is compared elsewhere.
                if entry.name not in ("min.insync.replicas", "flush.messages"):
                    flags = entry.is_read_only, entry.is_default, entry.is_sensitive
                    synonyms = sorted((one.name, one.value, one.source) for one in entry.synonyms.values())
                    yield f"{what} {entry.name}={entry.value} {entry.source} {flags} {synonyms}"

    def settings(self, _):
        topic, name, broker = ResourceType.TOPIC, self._name + "set", ResourceType.BROKER
        for future in self._admin.create_topics([NewTopic(name, 1, 1)]).values():
            future.result()
        self._await(name, 1)
        yield from self._set(topic, name, [(SET, "retention.ms", "70000"), (SET, "flush.ms", "7")])
        yield from self._set(topic, name, [(SET, "retention.ms", "7")], validate_only=True)
        yield from self._set(topic, name, [(SET, "retention.ms", "soon")])
        yield from self._set(topic, name, [(SET, "nope", "1")])
        yield from self._set(topic, name, [(DELETE, "flush.ms", None)])
        yield from self._set(topic, name, [(APPEND, "cleanup.policy", "compact")])
        yield from self._set(topic, name, [(SUBTRACT, "cleanup.policy", "delete")])
        yield from self._set(topic, name, [(APPEND, "retention.ms", "1")])
        yield from self._set(topic, "absent", [(SET, "flush.ms", "7")])
        time.sleep(0.5)
        yield from self._described("topic", topic, name)
        yield from self._described("absent", topic, "absent")
        whole = ConfigResource(topic, name, set_config={"flush.ms": "9"})
        yield from [f"replace: {told(one.result)}" for one in self._admin.alter_configs([whole]).values()]
        time.sleep(0.5)
        yield from self._described("replaced", topic, name)
        yield from self._set(broker, "1", [(SET, "log.retention.ms", "80000000")])
        yield from self._set(broker, "1", [(SET, "node.id", "8")])
        yield from self._set(broker, "1", [(DELETE, "log.retention.ms", None)])

    def cluster(self, _):
        cluster = self._admin.describe_cluster().result()
        yield f"cluster: {len(cluster.nodes)} {cluster.controller.id} {len(cluster.cluster_id)}"
        listed = self._admin.list_topics(timeout=10).topics
        yield f"topics: {sorted(name for name in listed if name.startswith(self._name))}"
        yield from self._each("dissolve", self._admin.delete_consumer_groups(["nobody"]))
        offsets = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("nobody")])
        yield from self._each("offsets", offsets, lambda it: len(it.topic_partitions))


answer(Sweep(*sys.argv[1:]))
