import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * kafka-clients, 3.9 and 4.x, from one source: {@code Transactor BOOTSTRAP}.
 *
 * The lines on stdin and stdout are described in client.rs, which is their other end.
 */
public class Transactor {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final long PATIENCE_MS = 60_000;

    private final String bootstrap;
    private final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();
    private final Map<String, Member> members = new HashMap<>();

    private Transactor(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] words) throws Exception {
        Transactor self = new Transactor(words[0]);
        Lines.answer(Map.of(
            "init", self::init,
            "begin", (line, facts) -> self.producer(line).beginTransaction(),
            "send", self::send,
            "copy", self::copy,
            "commit", (line, facts) -> self.producer(line).commitTransaction(),
            "abort", (line, facts) -> self.producer(line).abortTransaction(),
            "join", self::join,
            "move", (line, facts) -> self.members.get(line.get("of")).move(self.producer(line)),
            "leave", (line, facts) -> self.members.get(line.get("as")).leave(),
            "read", self::read));
    }

    private KafkaProducer<String, String> producer(Map<String, String> line) {
        return producers.get(line.get("as"));
    }

    private void init(Map<String, String> line, List<String> facts) {
        Properties properties = common();
        properties.put("transactional.id", line.get("id"));
        properties.put("transaction.timeout.ms", line.getOrDefault("timeout", "60000"));
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        KafkaProducer<String, String> producer = new KafkaProducer<>(properties);
        producer.initTransactions();
        producers.put(line.get("as"), producer);
    }

    private void send(Map<String, String> line, List<String> facts) throws Exception {
        int partition = Integer.parseInt(line.get("partition"));
        Long time = line.containsKey("time") ? Long.valueOf(line.get("time")) : null;
        List<Future<?>> sent = new ArrayList<>();
        for (String value : line.get("values").split(",")) {
            sent.add(producer(line).send(new ProducerRecord<>(line.get("topic"), partition, time, null, value)));
        }
        await(sent);
    }

    private static void await(List<Future<?>> sent) throws Exception {
        for (Future<?> one : sent) {
            try {
                one.get();
            } catch (ExecutionException error) {
                throw (Exception) error.getCause();
            }
        }
    }

    private void copy(Map<String, String> line, List<String> facts) throws Exception {
        KafkaProducer<String, String> producer = producer(line);
        TopicPartition from = new TopicPartition(line.get("from"), 0);
        try (KafkaConsumer<String, String> consumer = consumer(line.get("group"))) {
            consumer.subscribe(List.of(from.topic()));
            List<ConsumerRecord<String, String>> read = records(consumer, from, Integer.parseInt(line.get("count")));
            producer.beginTransaction();
            List<Future<?>> sent = new ArrayList<>();
            for (ConsumerRecord<String, String> record : read) {
                sent.add(producer.send(new ProducerRecord<>(line.get("into"), 0, null, record.value())));
            }
            await(sent);
            long next = read.get(read.size() - 1).offset() + 1;
            producer.sendOffsetsToTransaction(Map.of(from, new OffsetAndMetadata(next)), consumer.groupMetadata());
            if (line.get("end").equals("commit")) {
                producer.commitTransaction();
            } else {
                producer.abortTransaction();
            }
        }
    }

    /** One that keeps what it was when it read its first record. */
    private static final class Member {
        private final KafkaConsumer<String, String> consumer;
        private Map<TopicPartition, OffsetAndMetadata> after;
        private ConsumerGroupMetadata group;
        private boolean hasLeft;

        private Member(KafkaConsumer<String, String> consumer) {
            this.consumer = consumer;
        }

        private void poll() {
            if (hasLeft) {
                return;
            }
            for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
                if (group == null) {
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    after = Map.of(partition, new OffsetAndMetadata(record.offset() + 1));
                    group = consumer.groupMetadata();
                }
            }
        }

        private void move(KafkaProducer<String, String> producer) {
            producer.sendOffsetsToTransaction(after, group);
        }

        private void leave() {
            consumer.close();
            hasLeft = true;
        }
    }

    private void join(Map<String, String> line, List<String> facts) {
        Member joining = new Member(consumer(line.get("group")));
        joining.consumer.subscribe(List.of(line.get("topic")));
        members.put(line.get("as"), joining);
        boolean mustRead = line.get("reads").equals("1");
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (joining.consumer.assignment().isEmpty() || mustRead && joining.group == null) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException("the group has no place, or no record");
            }
            members.values().forEach(Member::poll);
        }
    }

    private void read(Map<String, String> line, List<String> facts) {
        TopicPartition partition = new TopicPartition(line.get("topic"), Integer.parseInt(line.get("partition")));
        try (KafkaConsumer<String, String> consumer = consumer("none")) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            String last = "";
            while (!last.equals(line.get("until"))) {
                ConsumerRecord<String, String> record = records(consumer, partition, 1).get(0);
                last = record.value();
                facts.add("value " + record.offset() + " " + last);
                consumer.seek(partition, record.offset() + 1);
            }
        }
    }

    /** The next records of a partition; all others of the topic are let go. */
    private static List<ConsumerRecord<String, String>> records(
            KafkaConsumer<String, String> consumer, TopicPartition partition, int count) {
        List<ConsumerRecord<String, String>> read = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        while (read.size() < count) {
            if (System.currentTimeMillis() > deadline) {
                throw new IllegalStateException(count - read.size() + " records are missing");
            }
            read.addAll(consumer.poll(POLL).records(partition));
        }
        return read.subList(0, count);
    }

    private KafkaConsumer<String, String> consumer(String group) {
        Properties properties = common();
        properties.put("group.id", group);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("fetch.max.wait.ms", "100");
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        return new KafkaConsumer<>(properties);
    }

    private Properties common() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("reconnect.backoff.max.ms", "200");
        return properties;
    }
}
