import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * kafka-clients, 2.8 to 4.x, from one source: {@code Member BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]}.
 *
 * The lines on stdin and stdout are described in member.rs, which is their other end.
 */
public class Member implements ConsumerRebalanceListener {
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
    private static final Duration POLL = Duration.ofMillis(100);
    private static final OutputStream STDOUT = new FileOutputStream(FileDescriptor.out);

    private static volatile boolean stopped;

    private final TreeSet<Integer> owned = new TreeSet<>();

    public static void main(String[] words) {
        Thread stop = new Thread(Member::waitForStop);
        stop.setDaemon(true);
        stop.start();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(words))) {
            consumer.subscribe(List.of(words[2]), new Member());
            while (!stopped) {
                turn(consumer);
            }
        } catch (Throwable error) {
            say("failed " + sentence(error));
            System.exit(1);
        }
        say("left");
        System.exit(0);
    }

    private static void waitForStop() {
        try {
            System.in.read();
        } catch (IOException gone) {
            // The end of stdin stops, too.
        }
        stopped = true;
    }

    private static Properties properties(String[] words) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", words[0]);
        properties.put("group.id", words[1]);
        properties.put("partition.assignment.strategy", ASSIGNORS.get(words[3]));
        if (words.length > 4) {
            properties.put("group.instance.id", words[4]);
        }
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        // The least that Apache Kafka allows, and for members that are to be restarted within it.
        properties.put("session.timeout.ms", words.length > 4 ? "30000" : "6000");
        properties.put("heartbeat.interval.ms", "500");
        properties.put("max.poll.interval.ms", "30000");
        properties.put("fetch.max.wait.ms", "100");
        properties.put("reconnect.backoff.max.ms", "200");
        // Since 4.0 a client forgets its topics while no broker is there, and a leader then has all join again.
        properties.put("metadata.recovery.strategy", "none");
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        return properties;
    }

    private static void turn(KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, OffsetAndMetadata> processed = new TreeMap<>((a, b) -> a.partition() - b.partition());
        for (ConsumerRecord<String, String> record : consumer.poll(POLL)) {
            say("got " + record.partition() + " " + record.offset() + " " + record.value());
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            processed.put(partition, new OffsetAndMetadata(record.offset() + 1));
        }
        if (processed.isEmpty()) {
            return;
        }
        try {
            consumer.commitSync(processed);
        } catch (KafkaException error) {
            // What was not committed is processed again by whoever has it next.
            say("refused " + sentence(error));
            return;
        }
        say("committed " + processed.entrySet().stream()
            .map(one -> one.getKey().partition() + ":" + one.getValue().offset())
            .collect(Collectors.joining(",")));
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> owned.add(partition.partition()));
        tell();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(partition -> owned.remove(partition.partition()));
        tell();
    }

    private void tell() {
        String set = owned.stream().map(String::valueOf).collect(Collectors.joining(","));
        say("assigned " + (set.isEmpty() ? "-" : set));
    }

    /** One write, so that the line is there as a whole when the process is killed. */
    private static void say(String line) {
        try {
            STDOUT.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException nobodyReads) {
            System.exit(1);
        }
    }

    private static String sentence(Throwable error) {
        return error.toString().replaceAll("\\s+", " ");
    }
}
