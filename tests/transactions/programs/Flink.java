import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.flink.connector.kafka.sink.internal.FlinkKafkaInternalProducer;
import org.apache.flink.connector.kafka.sink.internal.TransactionAbortStrategyContextImpl;
import org.apache.flink.connector.kafka.sink.internal.TransactionAbortStrategyImpl;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * What the exactly-once sink and the source of Flink do, with Flink's own classes around kafka-clients:
 * {@code Flink BOOTSTRAP}.
 *
 * The lines on stdin and stdout are described in flink.rs, which is their other end.
 */
public class Flink {
    private final Properties common = new Properties();
    private final Map<String, FlinkKafkaInternalProducer<byte[], String>> writers = new HashMap<>();

    private Flink(String bootstrap) {
        common.put("bootstrap.servers", bootstrap);
        common.put("reconnect.backoff.max.ms", "200");
    }

    public static void main(String[] words) throws Exception {
        Flink self = new Flink(words[0]);
        Lines.answer(Map.of(
            "open", self::open,
            "send", self::send,
            "checkpoint", self::checkpoint,
            "commit", (line, facts) -> self.writers.get(line.get("as")).commitTransaction(),
            "recover", self::recover,
            "clean", self::clean,
            "offsets", self::offsets));
    }

    private void open(Map<String, String> line, List<String> facts) {
        Properties properties = producing();
        properties.put("transaction.timeout.ms", line.getOrDefault("timeout", "60000"));
        FlinkKafkaInternalProducer<byte[], String> writer = writers.get(line.get("as"));
        if (writer == null) {
            writer = new FlinkKafkaInternalProducer<>(properties, line.get("id"));
        } else {
            // It comes back from the pool of producers, under another id.
            writer.setTransactionId(line.get("id"));
        }
        writer.initTransactions();
        writer.beginTransaction();
        writers.put(line.get("as"), writer);
    }

    private void send(Map<String, String> line, List<String> facts) throws Exception {
        int partition = Integer.parseInt(line.get("partition"));
        List<Future<?>> sent = new ArrayList<>();
        for (String value : line.get("values").split(",")) {
            ProducerRecord<byte[], String> record = new ProducerRecord<>(line.get("topic"), partition, null, value);
            sent.add(writers.get(line.get("as")).send(record, null));
        }
        for (Future<?> one : sent) {
            try {
                one.get();
            } catch (ExecutionException error) {
                throw (Exception) error.getCause();
            }
        }
    }

    private void checkpoint(Map<String, String> line, List<String> facts) {
        FlinkKafkaInternalProducer<byte[], String> writer = writers.get(line.get("as"));
        writer.flush();
        writer.precommitTransaction();
        facts.add("id=" + writer.getTransactionalId()
            + " producer=" + writer.getProducerId() + " epoch=" + writer.getEpoch());
    }

    private void recover(Map<String, String> line, List<String> facts) {
        try (FlinkKafkaInternalProducer<byte[], String> committer =
                new FlinkKafkaInternalProducer<>(producing(), line.get("id"))) {
            committer.resumeTransaction(
                Long.parseLong(line.get("producer")), Short.parseShort(line.get("epoch")));
            if (line.get("end").equals("commit")) {
                committer.commitTransaction();
            } else {
                committer.abortTransaction();
            }
        }
    }

    private void clean(Map<String, String> line, List<String> facts) {
        try (Admin admin = Admin.create(common)) {
            TransactionAbortStrategyImpl.valueOf(line.get("strategy")).abortTransactions(
                new TransactionAbortStrategyContextImpl(
                    () -> List.of(line.get("topic")), 0, 1, new int[] {0}, 1, List.of(line.get("prefix")),
                    Long.parseLong(line.get("from")), id -> abort(id, facts), () -> admin,
                    Set.of(line.get("keep"))));
        }
    }

    private int abort(String id, List<String> facts) {
        try (FlinkKafkaInternalProducer<byte[], String> producer =
                new FlinkKafkaInternalProducer<>(producing(), id)) {
            producer.initTransactions();
            producer.flush();
            facts.add("aborted " + id + " " + producer.getEpoch());
            return producer.getEpoch();
        }
    }

    private void offsets(Map<String, String> line, List<String> facts) {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("group.id", line.get("group"));
        properties.put("enable.auto.commit", "false");
        TopicPartition partition = new TopicPartition(line.get("topic"), 0);
        long offset = Long.parseLong(line.get("offset"));
        try (KafkaConsumer<String, String> source =
                new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            source.assign(List.of(partition));
            source.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
        }
    }

    private Properties producing() {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        properties.put("value.serializer", StringSerializer.class.getName());
        return properties;
    }
}
