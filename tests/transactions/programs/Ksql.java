import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The calls of a server of ksqlDB around its statements, with kafka-clients: {@code Ksql BOOTSTRAP SERVICE}.
 *
 * The lines on stdin and stdout are described in ksql.rs, which is their other end.
 */
public class Ksql {
    private static final Map<String, String> COMMAND_TOPIC = Map.of(
        "retention.ms", "-1",
        "cleanup.policy", "delete",
        "unclean.leader.election.enable", "false",
        "min.insync.replicas", "1");

    private final Properties common = new Properties();
    private final String service;
    private final Admin admin;

    private Ksql(String bootstrap, String service) {
        common.put("bootstrap.servers", bootstrap);
        common.put("reconnect.backoff.max.ms", "200");
        this.service = service;
        this.admin = Admin.create(common);
    }

    public static void main(String[] words) throws Exception {
        Ksql self = new Ksql(words[0], words[1]);
        Lines.answer(Map.of(
            "cluster", self::cluster,
            "broker", self::broker,
            "ensure", self::ensure,
            "repair", self::repair,
            "spoil", self::spoil,
            "state", self::state,
            "restore", self::restore,
            "source", self::source,
            "offsets", self::offsets,
            "terminate", self::terminate));
    }

    private void cluster(Map<String, String> line, List<String> facts) throws Exception {
        DescribeClusterResult cluster =
            admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true).timeoutMs(30_000));
        facts.add("cluster " + cluster.clusterId().get() + " " + cluster.nodes().get().size());
    }

    private void ensure(Map<String, String> line, List<String> facts) throws Exception {
        String topic = line.get("topic");
        try {
            facts.add("present " + admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic).partitions().size());
        } catch (ExecutionException error) {
            if (!(error.getCause() instanceof UnknownTopicOrPartitionException)) {
                throw error;
            }
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(COMMAND_TOPIC))).all().get();
            facts.add("created");
        }
    }

    /** What it wants to know of the first node. */
    private void broker(Map<String, String> line, List<String> facts) throws Exception {
        Node node = admin.describeCluster().nodes().get().iterator().next();
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
        Config config = admin.describeConfigs(Set.of(broker)).all().get().get(broker);
        facts.add("authorizer " + config.get("authorizer.class.name").value());
        facts.add("copies " + config.get("default.replication.factor").value());
    }

    private void repair(Map<String, String> line, List<String> facts) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, line.get("topic"));
        Config config = admin.describeConfigs(Set.of(topic)).all().get().get(topic);
        Map<String, String> wrong = new TreeMap<>(COMMAND_TOPIC);
        wrong.entrySet().removeIf(wanted -> wanted.getValue().equals(config.get(wanted.getKey()).value()));
        set(topic, wrong);
        wrong.forEach((name, value) -> facts.add("set " + name + "=" + value));
    }

    private void spoil(Map<String, String> line, List<String> facts) throws Exception {
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, line.get("topic"));
        set(topic, Map.of("retention.ms", "604800000", "cleanup.policy", "compact"));
    }

    private void set(ConfigResource topic, Map<String, String> values) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        values.forEach((name, value) -> changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(topic, changes)).all().get();
    }

    /** Each statement has a producer of its own; all of them have the id of the service. */
    private void state(Map<String, String> line, List<String> facts) throws Exception {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("transactional.id", service);
        properties.put("acks", "all");
        KafkaProducer<String, String> producer =
            new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(line.get("topic"), 0, null, line.get("text"))).get();
        if (line.get("then").equals("commit")) {
            producer.commitTransaction();
            producer.close();
        }
    }

    /** What a server reads when it starts: all that there is, and it may not wait for more. */
    private void restore(Map<String, String> line, List<String> facts) {
        TopicPartition partition = new TopicPartition(line.get("topic"), 0);
        try (KafkaConsumer<String, String> consumer = consumer("none")) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            facts.add("from " + consumer.beginningOffsets(List.of(partition)).get(partition) + " to " + end);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    facts.add("statement " + record.offset() + " " + record.value());
                }
            }
        }
    }

    private KafkaConsumer<String, String> consumer(String group) {
        Properties properties = new Properties();
        properties.putAll(common);
        properties.put("group.id", group);
        properties.put("isolation.level", "read_committed");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    /** A query that has read something. */
    private void source(Map<String, String> line, List<String> facts) {
        TopicPartition partition = new TopicPartition(line.get("topic"), 0);
        try (KafkaConsumer<String, String> consumer = consumer(line.get("group"))) {
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(Long.parseLong(line.get("offset")))));
        }
    }

    private void offsets(Map<String, String> line, List<String> facts) throws Exception {
        TopicPartition partition = new TopicPartition(line.get("topic"), 0);
        Map<TopicPartition, OffsetAndMetadata> committed =
            admin.listConsumerGroupOffsets(line.get("group")).partitionsToOffsetAndMetadata().get();
        facts.add("committed " + committed.get(partition).offset());
        facts.add("end " + admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset());
    }

    private void terminate(Map<String, String> line, List<String> facts) throws Exception {
        String group = line.get("group");
        List<String> topics = List.of(line.get("topics").split(","));
        admin.deleteTopics(topics).all().get();
        admin.deleteConsumerGroups(List.of(group)).all().get();
        Collection<GroupListing> groups = admin.listGroups(ListGroupsOptions.forConsumerGroups()).all().get();
        facts.add("group " + groups.stream().anyMatch(one -> one.groupId().equals(group)));
        facts.add("topics " + admin.listTopics().names().get().stream().anyMatch(topics::contains));
    }
}
