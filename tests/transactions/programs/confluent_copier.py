"""A copier of confluent-kafka, which is librdkafka. See copies.py."""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from copies import PATIENCE_S, copy


class Copier:
    def __init__(self, bootstrap, source, output):
        common = {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
        }
        self.output = output
        self.producer = Producer({**common, "transactional.id": output, "linger.ms": 0, "retry.backoff.ms": 20})
        # Before anything is read: where the group stands is known when the last instance's transaction has ended.
        persist(self.producer.init_transactions)
        self.consumer = Consumer({
            **common,
            "group.id": output,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "fetch.wait.max.ms": 100,
        })
        self.consumer.subscribe([source])

    def read(self, count):
        read = self.consumer.consume(count, 0.5)
        return [(record.partition(), record.offset(), record.value()) for record in read if not record.error()]

    def begin(self):
        self.producer.begin_transaction()

    def send(self, records):
        errors = []
        for partition, value in records:
            self.producer.produce(
                self.output, value, partition=partition, on_delivery=lambda error, _: errors.append(error))
        if self.producer.flush(PATIENCE_S) or any(errors):
            raise RuntimeError("not everything was delivered")

    def offsets(self, after):
        [source] = {place.topic for place in self.consumer.assignment()}
        places = [TopicPartition(source, partition, offset) for partition, offset in after.items()]
        group = self.consumer.consumer_group_metadata()
        persist(lambda: self.producer.send_offsets_to_transaction(places, group))

    def commit(self):
        persist(self.producer.commit_transaction)

    def abort(self):
        persist(self.producer.abort_transaction)

    def rewind(self):
        for place in self.consumer.committed(self.consumer.assignment(), PATIENCE_S):
            if place.offset < 0:
                place.offset = OFFSET_BEGINNING
            self.consumer.seek(place)


def persist(call):
    """Calls again as long as that is the advice."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


if __name__ == "__main__":
    copy(Copier)
