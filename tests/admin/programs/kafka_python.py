"""Every administrative call of kafka-python that a broker of topics and settings answers: `ADDRESS NAME`.

Its releases answer with the messages of the protocol or with what they make of them; either is told as it comes. The
lines on stdin and stdout are described in sweeps.rs, which is their other end.
"""

import re
import sys
import time

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import KafkaError
from kafka.structs import TopicPartition

from lines import answer


def told(call):
    """What a call has answered, or its error's class; ids, times and ports are nobody's business."""
    try:
        text = str(plain(call()))
    except KafkaError as error:
        text = type(error).__name__
    except (AssertionError, AttributeError, NotImplementedError, TypeError, ValueError) as error:
        text = "cannot be asked: " + type(error).__name__
    text = re.sub(r"throttle_time_ms'?[=:] ?\d+", "", text)
    text = re.sub(r"port'?[=:] ?\d+", "port", text)
    text = re.sub(r"(topic_id|cluster_id)'?[=:] ?(UUID\()?'[^']*'\)?", r"\1", text)
    return " ".join(text.split())


# What Kafka 4 sets for itself, and what an acknowledgement waits for here, are compared elsewhere.
DIFFERENT = ("min.insync.replicas", "flush.messages")


def plain(value):
    """With everything in an order of its own."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    elif hasattr(value, "to_object"):
        value = value.to_object()
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value, key=str) if key not in DIFFERENT}
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted((plain(one) for one in value), key=str)
    return value


class Sweep:
    def __init__(self, address, name):
        self._admin = KafkaAdminClient(bootstrap_servers=address)
        self._name = name + "-"

    def _await(self, topic, partitions):
        for _ in range(300):
            described = self._admin.describe_topics([topic])
            described = described.get("topics", described) if isinstance(described, dict) else described
            if len(described[0]["partitions"]) == partitions:
                return
            time.sleep(0.02)

    def topics(self, _):
        admin, name = self._admin, self._name
        good = NewTopic(name + "good", 2, 1, topic_configs={"retention.ms": "-1"})
        bad = [
            good,
            NewTopic(name + "wide", 1, 3),
            NewTopic(name + "nope", 1, 1, topic_configs={"nope": "1"}),
            NewTopic(name + "range", 1, 1, topic_configs={"segment.bytes": "1"}),
            NewTopic("a/b", 1, 1),
        ]
        for topic in bad:
            yield f"judge {topic.name}: {told(lambda: admin.create_topics([topic], validate_only=True))}"
        for topic in bad:
            yield f"create {topic.name}: {told(lambda: admin.create_topics([topic]))}"
        self._await(name + "good", 2)
        yield f"create again: {told(lambda: admin.create_topics([good]))}"
        yield f"partitions: {told(lambda: admin.create_partitions({name + 'good': NewPartitions(4)}))}"
        self._await(name + "good", 4)
        yield f"fewer: {told(lambda: admin.create_partitions({name + 'good': NewPartitions(2)}))}"
        yield f"of absent: {told(lambda: admin.create_partitions({'absent': NewPartitions(2)}))}"
        yield f"describe: {told(lambda: admin.describe_topics([name + 'good', 'absent']))}"
        for offset in (0, 7):
            gone = {TopicPartition(name + "good", 0): offset}
            yield f"delete records: {told(lambda: admin.delete_records(gone))}"
        yield f"elect: {told(lambda: admin.perform_leader_election(0, {name + 'good': [0], 'absent': [0]}))}"
        yield f"delete: {told(lambda: admin.delete_topics([name + 'good']))}"
        yield f"delete absent: {told(lambda: admin.delete_topics(['absent']))}"

    def _described(self, what, kind, name, keys=None):
        resource = ConfigResource(kind, name, configs=keys)
        yield f"{what} {kind.name} {name}: {told(lambda: self._admin.describe_configs([resource], include_synonyms=True))}"

    def _replaced(self, kind, name, configs):
        resource = ConfigResource(kind, name, configs=configs)
        yield f"replace {kind.name} {name} {configs}: {told(lambda: self._admin.alter_configs([resource]))}"

    def settings(self, _):
        topic, broker, name = ConfigResourceType.TOPIC, ConfigResourceType.BROKER, self._name + "set"
        self._admin.create_topics([NewTopic(name, 1, 1)])
        self._await(name, 1)
        yield from self._replaced(topic, name, {"retention.ms": "70000"})
        yield from self._replaced(topic, name, {"retention.ms": "soon"})
        yield from self._replaced(topic, name, {"nope": "1"})
        yield from self._replaced(topic, "absent", {"retention.ms": "70000"})
        time.sleep(0.5)
        keys = ["retention.ms", "segment.bytes", "cleanup.policy", "nope"]
        yield from self._described("some", topic, name, dict.fromkeys(keys))
        yield from self._described("absent", topic, "absent", {"retention.ms": None})
        yield from self._described("broker", broker, "1", {"log.retention.ms": None, "log.retention.hours": None})
        yield from self._replaced(broker, "1", {"node.id": "8"})

    def cluster(self, _):
        admin = self._admin
        yield f"cluster: {told(admin.describe_cluster)}"
        yield f"topics: {sorted(name for name in admin.list_topics() if name.startswith(self._name))}"
        yield f"dissolve: {told(lambda: admin.delete_consumer_groups(['nobody']))}"


answer(Sweep(*sys.argv[1:]))
