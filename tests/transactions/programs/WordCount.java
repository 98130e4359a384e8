import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Counts words exactly once, until it is killed: {@code WordCount BOOTSTRAP STATE_DIRECTORY INPUT OUTPUT}.
 *
 * Its counts are in a store with a changelog, behind a repartition topic; every new count of a word is one record
 * {@code WORD COUNT} of the output. It says its states, and what it fails of.
 */
public class WordCount {
    public static void main(String[] words) {
        KafkaStreams streams = new KafkaStreams(topology(words[2], words[3]), properties(words));
        streams.setStateListener((state, before) -> System.out.println("state " + state));
        streams.setUncaughtExceptionHandler(error -> {
            System.out.println(("failed " + error + " " + error.getCause()).replaceAll("\\s+", " "));
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.start();
    }

    private static Topology topology(String input, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> lines = builder.stream(input, Consumed.with(Serdes.String(), Serdes.String()));
        lines.flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((none, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
            .toStream()
            .mapValues((word, count) -> word + " " + count)
            .to(output, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    private static Properties properties(String[] words) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", words[0]);
        properties.put("state.dir", words[1]);
        properties.put("application.id", "word-count-of-" + words[2]);
        properties.put("processing.guarantee", "exactly_once_v2");
        properties.put("num.stream.threads", "2");
        // As it commits almost all the time, many kills come in the middle of that.
        properties.put("commit.interval.ms", "10");
        // Without a cache no count is left out.
        properties.put("statestore.cache.max.bytes", "0");
        // Every second it wants to have deleted what it has read of its repartition topic.
        properties.put("repartition.purge.interval.ms", "1000");
        // The least that Apache Kafka allows: so long is the work of a killed one left undone.
        properties.put("session.timeout.ms", "6000");
        properties.put("heartbeat.interval.ms", "500");
        properties.put("reconnect.backoff.max.ms", "200");
        return properties;
    }
}
