import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * kafka-clients, 2.8 to 4.x, from one source: {@code Client BOOTSTRAP}.
 *
 * The session on stdin and stdout is described in session.rs, which is its other end.
 */
public class Client {
    private static final long PATIENCE_S = 30;
    private static final int LARGEST = 8_000_000;

    private final String bootstrap;
    private Admin admin;
    private KafkaProducer<byte[], byte[]> kept;

    private Client(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] words) throws Exception {
        Client client = new Client(words[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(client.answer(line));
        }
        System.exit(0);
    }

    private String answer(String line) {
        String[] words = line.trim().split(" ");
        try {
            Args args = new Args(Arrays.asList(words).subList(1, words.length));
            List<String> facts = perform(words[0], args);
            facts.add("ok");
            return String.join("\n", facts);
        } catch (Throwable error) {
            return ("failed " + error).replaceAll("\\s+", " ");
        }
    }

    private List<String> perform(String verb, Args args) throws Throwable {
        switch (verb) {
            case "cluster": return cluster();
            case "create": return create(args);
            case "delete": return delete(args);
            case "describe": return describe(args);
            case "produce": return produce(args);
            case "consume": return consume(args);
            case "offsets": return offsets(args);
            default: throw new IllegalArgumentException("unknown verb " + verb);
        }
    }

    // The topics.

    private List<String> cluster() throws Exception {
        String id = admin().describeCluster().clusterId().get();
        int nodes = admin().describeCluster().nodes().get().size();
        return facts("cluster " + (id == null ? "-" : id) + " " + nodes);
    }

    private List<String> create(Args args) throws Exception {
        NewTopic topic = new NewTopic(args.topic(), args.number("partitions", 1).intValue(), (short) 1);
        admin().createTopics(List.of(topic.configs(args.pairs("config")))).all().get();
        return facts();
    }

    private List<String> delete(Args args) throws Exception {
        admin().deleteTopics(List.of(args.topic())).all().get();
        return facts();
    }

    private List<String> describe(Args args) throws Exception {
        List<String> facts = facts();
        description(args.topic()).partitions().forEach(p -> facts.add("partition " + p.partition()));
        return facts;
    }

    /** The one call whose name differs: topicNameValues() since 3.1, and values() only until 3.9. */
    private TopicDescription description(String topic) throws Exception {
        Object result = admin().describeTopics(List.of(topic));
        String name = Arrays.stream(result.getClass().getMethods())
            .anyMatch(method -> method.getName().equals("topicNameValues")) ? "topicNameValues" : "values";
        Map<?, ?> values = (Map<?, ?>) result.getClass().getMethod(name).invoke(result);
        return (TopicDescription) ((KafkaFuture<?>) values.get(topic)).get();
    }

    // The records.

    private List<String> produce(Args args) throws Exception {
        KafkaProducer<byte[], byte[]> producer = kept != null ? kept : producer(args);
        Map<Long, Future<RecordMetadata>> sent = new java.util.TreeMap<>();
        long first = args.number("first", 0);
        for (long i = first; i < first + args.number("count", 0); i++) {
            sent.put(i, producer.send(Contents.record(args, i)));
        }
        producer.flush();
        List<String> facts = facts();
        for (Map.Entry<Long, Future<RecordMetadata>> one : sent.entrySet()) {
            facts.add("sent " + one.getKey() + " " + one.getValue().get().offset());
        }
        if (args.flag("keep")) {
            kept = producer;
        } else if (kept == null) {
            producer.close();
        }
        return facts;
    }

    private List<String> consume(Args args) throws Exception {
        List<String> facts = facts();
        TopicPartition partition = args.partition();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(partition));
            seek(consumer, partition, args.text("from", "earliest"));
            long count = args.number("count", 0);
            long deadline = System.nanoTime() + args.number("patience", PATIENCE_S) * 1_000_000_000L;
            while (facts.size() < count) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException(count - facts.size() + " records are missing");
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    if (facts.size() < count) {
                        facts.add(Contents.fact(record));
                    }
                }
            }
        }
        return facts;
    }

    private List<String> offsets(Args args) {
        TopicPartition partition = args.partition();
        List<TopicPartition> one = List.of(partition);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            if (args.text("at", null) != null) {
                return facts("found " + at(consumer, partition, args.number("at", 0)));
            }
            long first = consumer.beginningOffsets(one).get(partition);
            return facts("offsets " + first + " " + consumer.endOffsets(one).get(partition));
        }
    }

    private static void seek(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, String start) {
        if (start.equals("earliest")) {
            consumer.seekToBeginning(List.of(partition));
        } else if (start.equals("latest")) {
            consumer.seekToEnd(List.of(partition));
        } else if (start.startsWith("@")) {
            consumer.seek(partition, at(consumer, partition, Long.parseLong(start.substring(1))));
        } else {
            consumer.seek(partition, Long.parseLong(start));
        }
    }

    private static long at(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition, long timestamp) {
        OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, timestamp)).get(partition);
        return found == null ? -1 : found.offset();
    }

    // The objects of the client.

    private Properties common() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("client.id", "kafka-clients");
        return properties;
    }

    private Admin admin() {
        if (admin == null) {
            admin = Admin.create(common());
        }
        return admin;
    }

    private KafkaProducer<byte[], byte[]> producer(Args args) {
        Properties properties = common();
        properties.put("acks", args.text("acks", "all"));
        properties.put("compression.type", args.text("codec", "none"));
        properties.put("enable.idempotence", String.valueOf(args.flag("idempotent")));
        properties.put("linger.ms", "20");
        properties.put("max.request.size", String.valueOf(LARGEST));
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties properties = common();
        properties.put("enable.auto.commit", "false");
        // Closing waits for the fetch in flight.
        properties.put("fetch.max.wait.ms", "50");
        properties.put("auto.offset.reset", "none");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static List<String> facts(String... facts) {
        return new ArrayList<>(Arrays.asList(facts));
    }

    /** The name=value words of one line. */
    private static class Args {
        private final Map<String, String> values = new HashMap<>();

        Args(List<String> words) {
            words.forEach(word -> values.put(word.split("=", 2)[0], word.split("=", 2)[1]));
        }

        String text(String name, String otherwise) {
            return values.getOrDefault(name, otherwise);
        }

        Long number(String name, long otherwise) {
            return values.containsKey(name) ? Long.parseLong(values.get(name)) : otherwise;
        }

        boolean flag(String name) {
            return "1".equals(values.get(name));
        }

        Map<String, String> pairs(String name) {
            Map<String, String> pairs = new HashMap<>();
            for (String pair : text(name, "").split(",")) {
                if (!pair.isEmpty()) {
                    pairs.put(pair.split(":", 2)[0], pair.split(":", 2)[1]);
                }
            }
            return pairs;
        }

        String topic() {
            return values.get("topic");
        }

        TopicPartition partition() {
            return new TopicPartition(topic(), number("partition", 0).intValue());
        }
    }

    /** What the record of a number holds, and how a record that was read is told. */
    private static class Contents {
        static ProducerRecord<byte[], byte[]> record(Args args, long i) {
            Long timestamp = args.text("ts", null) == null ? null : Long.valueOf(args.number("ts", 0) + i);
            long size = args.number("size", 1 + i * i * 37 % 3000);
            byte[] key = i % 5 == 4 ? null : utf8(args.topic() + "-" + i);
            byte[] value = i % 7 == 6 && i % 5 != 4 ? null : value(args.topic(), i, (int) size);
            return new ProducerRecord<>(
                args.topic(), args.partition().partition(), timestamp, key, value, headers(args));
        }

        private static List<Header> headers(Args args) {
            List<Header> headers = new ArrayList<>();
            List<String> wanted = Arrays.asList(args.text("headers", "").split(","));
            Map<String, byte[]> known = new HashMap<>();
            known.put("topic", utf8(args.topic()));
            known.put("empty", new byte[0]);
            known.put("null", null);
            for (String name : List.of("topic", "empty", "null")) {
                if (wanted.contains(name)) {
                    headers.add(new RecordHeader(name, known.get(name)));
                }
            }
            return headers;
        }

        private static byte[] value(String topic, long i, int size) {
            byte[] text = utf8(topic + "/" + i + "/");
            byte[] pattern = Arrays.copyOf(text, text.length + 3);
            pattern[text.length + 1] = (byte) 0xff;
            pattern[text.length + 2] = '\n';
            byte[] value = new byte[size];
            for (int at = 0; at < size; at++) {
                value[at] = pattern[at % pattern.length];
            }
            return value;
        }

        static String fact(ConsumerRecord<byte[], byte[]> record) {
            List<String> headers = new ArrayList<>();
            for (Header header : record.headers()) {
                headers.add(header.value() == null ? header.key() : header.key() + "=" + text(header.value()));
            }
            String timestamp = record.timestamp() < 0 ? "-" : String.valueOf(record.timestamp());
            String key = record.key() == null ? "-" : "=" + text(record.key());
            return String.join(" ", "record", String.valueOf(record.partition()), String.valueOf(record.offset()),
                timestamp, key, digest(record.value()), headers.isEmpty() ? "-" : String.join(",", headers));
        }

        private static String digest(byte[] value) {
            if (value == null) {
                return "-";
            }
            CRC32 crc = new CRC32();
            crc.update(value);
            return String.format("%d:%08x", value.length, crc.getValue());
        }

        private static byte[] utf8(String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }

        private static String text(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    }
}
