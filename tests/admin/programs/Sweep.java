import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.DeletedRecords;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Every call of Java's Admin that a broker of topics and settings answers, good and bad: {@code Sweep BOOTSTRAP NAME}.
 *
 * The lines on stdin and stdout are described in sweeps.rs, which is their other end.
 */
public class Sweep {
    private static final int MANY = 10_000;

    private final Admin admin;
    /** What the names of all that is made begin with. */
    private final String name;
    private List<String> facts;
    private int changes;

    private Sweep(String bootstrap, String name) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        // What is asked of a broker that does not exist is asked for so long.
        properties.put("request.timeout.ms", "15000");
        properties.put("default.api.timeout.ms", "15000");
        this.admin = Admin.create(properties);
        this.name = name;
    }

    public static void main(String[] words) throws Exception {
        Sweep self = new Sweep(words[0], words[1]);
        Lines.answer(Map.of(
            "topics", (line, facts) -> self.run(facts, self::topics),
            "settings", (line, facts) -> self.run(facts, self::settings),
            "cluster", (line, facts) -> self.run(facts, self::cluster)));
    }

    private interface Part {
        void run() throws Exception;
    }

    private interface Call {
        Object make() throws Exception;
    }

    private void run(List<String> facts, Part part) throws Exception {
        this.facts = facts;
        part.run();
    }

    /** A call's result, or what it has failed with, is a fact of one line. */
    private void tell(String what, Call call) {
        String told;
        try {
            told = String.valueOf(call.make());
        } catch (ExecutionException error) {
            told = told(error.getCause());
        } catch (Exception error) {
            told = told(error);
        }
        facts.add((what + ": " + told).replaceAll("\\s+", " "));
    }

    private static String told(Throwable error) {
        return error.getClass().getSimpleName() + " " + error.getMessage();
    }

    /** Each of some results, in the order of their names. */
    private <K> void tellEach(String what, Map<K, ? extends KafkaFuture<?>> futures) {
        Map<String, KafkaFuture<?>> sorted = new TreeMap<>();
        futures.forEach((key, future) -> sorted.put(String.valueOf(key), future));
        sorted.forEach((key, future) -> tell(what + " " + key, () -> shown(future.get())));
    }

    private static Object shown(Object result) {
        return result instanceof DeletedRecords ? ((DeletedRecords) result).lowWatermark() : result;
    }

    /** A broker may show a topic a while after it has made it. */
    private void await(String topic, int partitions) throws Exception {
        for (int i = 0; i < 300; i += 1) {
            try {
                int found = admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic).partitions().size();
                if (found == partitions) {
                    return;
                }
            } catch (ExecutionException absent) {
                // Not yet.
            }
            Thread.sleep(20);
        }
        facts.add("never served: " + topic);
    }

    private void topics() throws Exception {
        List<NewTopic> wanted = List.of(
            new NewTopic(name + "swept", 3, (short) 1).configs(Map.of("retention.ms", "-1", "cleanup.policy", "compact,delete")),
            new NewTopic(name + "swept-default", Optional.empty(), Optional.empty()),
            new NewTopic(name + "swept-assigned", Map.of(0, List.of(1), 1, List.of(1))),
            new NewTopic(name + "swept-gap", Map.of(0, List.of(1), 2, List.of(1))),
            new NewTopic(name + "swept-nobody", Map.of(0, List.of(7))),
            new NewTopic(name + "swept-twice", Map.of(0, List.of(1, 1))),
            new NewTopic(name + "swept-wide", 1, (short) 2),
            new NewTopic(name + "swept-none", 0, (short) 1),
            new NewTopic(name + "swept-unknown", 1, (short) 1).configs(Map.of("nope", "1")),
            new NewTopic(name + "swept-type", 1, (short) 1).configs(Map.of("retention.ms", "soon")),
            new NewTopic(name + "swept-range", 1, (short) 1).configs(Map.of("segment.bytes", "100")),
            new NewTopic(name + "swept-against", 1, (short) 1).configs(Map.of("min.compaction.lag.ms", "9", "max.compaction.lag.ms", "8")),
            new NewTopic(name + "swept.dot", 1, (short) 1),
            new NewTopic(name + "swept_dot", 1, (short) 1),
            new NewTopic(name + "swept/slash", 1, (short) 1),
            new NewTopic("..", 1, (short) 1),
            new NewTopic("x".repeat(250), 1, (short) 1));
        tellEach("judge", admin.createTopics(wanted, new CreateTopicsOptions().validateOnly(true)).values());
        tell("nothing was made", () -> admin.listTopics().names().get().stream().noneMatch(one -> one.startsWith(name + "swept")));
        // Of two names that collide either may win.
        List<NewTopic> apart = wanted.stream().filter(topic -> !topic.name().equals(name + "swept_dot")).toList();
        tellEach("create", admin.createTopics(apart).values());
        await(name + "swept", 3);
        await(name + "swept.dot", 1);
        tellEach("create again", admin.createTopics(List.of(wanted.get(0), new NewTopic(name + "swept_dot", 1, (short) 1))).values());
        Collection<NewTopic> many = IntStream.range(0, MANY).mapToObj(i -> new NewTopic(name + "many-" + i, 1, (short) 2)).toList();
        tell("judge many", () -> counted(admin.createTopics(many, new CreateTopicsOptions().validateOnly(true)).values()));
        tell("list", () -> admin.listTopics().names().get().stream().filter(one -> one.startsWith(name + "swept")).sorted().toList());
        tellEach("describe", shown(admin.describeTopics(List.of(name + "swept", name + "swept-default", "absent", "a/b")).topicNameValues()));
        tellEach("describe in parts", shown(admin.describeTopics(List.of(name + "swept", "absent"),
            new DescribeTopicsOptions().partitionSizeLimitPerResponse(1).includeAuthorizedOperations(true)).topicNameValues()));
        Uuid nobody = new Uuid(5, 6);
        tellEach("describe id", admin.describeTopics(TopicCollection.ofTopicIds(List.of(nobody))).topicIdValues());
        Map<String, NewPartitions> more = Map.of(
            name + "swept", NewPartitions.increaseTo(5),
            name + "swept-default", NewPartitions.increaseTo(1),
            name + "swept-assigned", NewPartitions.increaseTo(3, List.of(List.of(7))),
            name + "swept.dot", NewPartitions.increaseTo(3, List.of(List.of(1))),
            "absent", NewPartitions.increaseTo(2));
        tellEach("judge partitions", admin.createPartitions(more, new CreatePartitionsOptions().validateOnly(true)).values());
        tellEach("partitions", admin.createPartitions(more).values());
        await(name + "swept", 5);
        tellEach("fewer partitions", admin.createPartitions(Map.of(name + "swept", NewPartitions.increaseTo(2))).values());
        ends();
        deletions();
        elections();
        moves();
        tellEach("delete", admin.deleteTopics(List.of(name + "swept-assigned", name + "swept-default", "absent", "a/b")).topicNameValues());
        tellEach("delete id", admin.deleteTopics(TopicCollection.ofTopicIds(List.of(nobody))).topicIdValues());
    }

    private static Map<String, KafkaFuture<String>> shown(Map<String, KafkaFuture<TopicDescription>> described) {
        Map<String, KafkaFuture<String>> shown = new TreeMap<>();
        described.forEach((topic, future) -> shown.put(topic, future.thenApply(it ->
            it.isInternal() + " " + it.partitions() + " " + sorted(it.authorizedOperations()))));
        return shown;
    }

    /** Nothing is asked for when it is null. */
    private static String sorted(Set<?> values) {
        return values == null ? "none" : values.stream().map(String::valueOf).sorted().toList().toString();
    }

    /** How often each result has come. */
    private static Map<String, Integer> counted(Map<?, ? extends KafkaFuture<?>> futures) throws InterruptedException {
        Map<String, Integer> counts = new TreeMap<>();
        for (KafkaFuture<?> future : futures.values()) {
            String result;
            try {
                future.get();
                result = "done";
            } catch (ExecutionException error) {
                result = error.getCause().getClass().getSimpleName();
            }
            counts.merge(result, 1, Integer::sum);
        }
        return counts;
    }

    private void ends() {
        TopicPartition partition = new TopicPartition(name + "swept", 0);
        Map<String, OffsetSpec> specs = new TreeMap<>(Map.of(
            "earliest", OffsetSpec.earliest(),
            "latest", OffsetSpec.latest(),
            "newest", OffsetSpec.maxTimestamp(),
            "local", OffsetSpec.earliestLocal(),
            "tiered", OffsetSpec.latestTiered(),
            "time", OffsetSpec.forTimestamp(5)));
        specs.forEach((which, spec) ->
            tell("ends " + which, () -> admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get()));
    }

    private void deletions() {
        for (long before : new long[] {0, 5, -1, -7}) {
            tellEach("delete records before " + before, admin.deleteRecords(
                Map.of(new TopicPartition(name + "swept", 0), RecordsToDelete.beforeOffset(before))).lowWatermarks());
        }
    }

    private void elections() {
        Set<TopicPartition> some = Set.of(new TopicPartition(name + "swept", 0), new TopicPartition("absent", 0), new TopicPartition(name + "swept", 9));
        for (ElectionType type : ElectionType.values()) {
            tell("elect " + type, () -> new TreeMap<>(admin.electLeaders(type, some).partitions().get().entrySet().stream()
                .collect(Collectors.toMap(entry -> entry.getKey().toString(), entry -> entry.getValue().map(Sweep::told)))));
            tell("elect all " + type, () -> admin.electLeaders(type, null).partitions().get());
        }
    }

    private void moves() {
        Map<TopicPartition, Optional<NewPartitionReassignment>> moves = Map.of(
            new TopicPartition(name + "swept", 0), Optional.of(new NewPartitionReassignment(List.of(1))),
            new TopicPartition(name + "swept", 1), Optional.of(new NewPartitionReassignment(List.of(1, 2))),
            new TopicPartition(name + "swept", 2), Optional.empty(),
            new TopicPartition(name + "swept", 3), Optional.of(new NewPartitionReassignment(List.of(1, 1))),
            new TopicPartition(name + "swept", 4), Optional.of(new NewPartitionReassignment(List.of(-1))),
            new TopicPartition("absent", 0), Optional.of(new NewPartitionReassignment(List.of(1))));
        tellEach("move", admin.alterPartitionReassignments(moves).values());
        tell("moves", () -> admin.listPartitionReassignments().reassignments().get());
        tell("moves of some", () -> admin.listPartitionReassignments(Set.of(new TopicPartition("absent", 0))).reassignments().get());
    }

    private static ConfigResource of(ConfigResource.Type type, String name) {
        return new ConfigResource(type, name);
    }

    private static AlterConfigOp op(OpType type, String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private void settings() throws Exception {
        ConfigResource topic = of(ConfigResource.Type.TOPIC, name + "set");
        ConfigResource absent = of(ConfigResource.Type.TOPIC, name + "set-absent");
        ConfigResource broker = of(ConfigResource.Type.BROKER, "1");
        ConfigResource every = of(ConfigResource.Type.BROKER, "");
        ConfigResource loggers = of(ConfigResource.Type.BROKER_LOGGER, "1");
        // Clients of Kafka 3 do not know that groups have settings.
        ConfigResource.Type groups = ConfigResource.Type.forId((byte) 32);
        ConfigResource group = of(groups, name + "set-group");
        ConfigResource metrics = of(ConfigResource.Type.CLIENT_METRICS, name + "set-metrics");
        admin.createTopics(List.of(new NewTopic(name + "set", 1, (short) 1))).all().get();
        await(name + "set", 1);
        for (ConfigResource one : List.of(topic, absent, every, group, metrics, of(ConfigResource.Type.TOPIC, ""),
                of(ConfigResource.Type.TOPIC, "a/b"), of(groups, ""), of(ConfigResource.Type.CLIENT_METRICS, ""))) {
            describe("described", one);
        }
        tell("loggers", () -> admin.describeConfigs(List.of(loggers)).all().get().get(loggers).get("root").source());
        for (AlterConfigOp change : List.of(
                op(OpType.SET, "retention.ms", "5000"),
                op(OpType.SET, "retention.ms", "soon"),
                op(OpType.SET, "retention.ms", ""),
                op(OpType.SET, "segment.bytes", "1"),
                op(OpType.SET, "segment.bytes", "9999999999"),
                op(OpType.SET, "min.cleanable.dirty.ratio", "1.5"),
                op(OpType.SET, "preallocate", "perhaps"),
                op(OpType.SET, "compression.type", "rar"),
                op(OpType.SET, "message.timestamp.type", "Never"),
                op(OpType.SET, "nope", "1"),
                op(OpType.DELETE, "nope", null),
                op(OpType.APPEND, "retention.ms", "1"),
                op(OpType.APPEND, "cleanup.policy", "compact"),
                op(OpType.APPEND, "cleanup.policy", "compact"),
                op(OpType.APPEND, "cleanup.policy", "nope"),
                op(OpType.SUBTRACT, "cleanup.policy", "delete"),
                op(OpType.SUBTRACT, "cleanup.policy", "nope"),
                op(OpType.SUBTRACT, "nope", "1"),
                op(OpType.SET, "max.compaction.lag.ms", "8"),
                op(OpType.SET, "min.compaction.lag.ms", "9"),
                op(OpType.SET, "remote.storage.enable", "true"),
                op(OpType.SET, "follower.replication.throttled.replicas", "0:1,1:1"),
                op(OpType.SET, "follower.replication.throttled.replicas", "what"),
                op(OpType.DELETE, "max.compaction.lag.ms", null))) {
            alter(topic, change);
        }
        describe("topic", topic);
        alter(topic, op(OpType.SET, "flush.ms", "7"), op(OpType.SET, "nope", "1"));
        alter(topic, op(OpType.SET, "flush.ms", "7"), op(OpType.SET, "flush.ms", "8"));
        alter(topic, op(OpType.SET, "flush.ms", "7"), op(OpType.DELETE, "flush.ms", null));
        describe("nothing of what is refused", topic);
        Map<ConfigResource, Collection<AlterConfigOp>> several = Map.of(
            topic, List.of(op(OpType.SET, "flush.ms", "77")),
            absent, List.of(op(OpType.SET, "flush.ms", "77")),
            group, List.of(op(OpType.SET, "nope", "1")));
        tellEach("judge several", admin.incrementalAlterConfigs(several, new AlterConfigsOptions().validateOnly(true)).values());
        describe("judged", topic);
        tellEach("several", admin.incrementalAlterConfigs(several).values());
        describe("whole or not at all", topic);
        for (ConfigResource one : List.of(broker, every)) {
            for (AlterConfigOp change : List.of(
                    op(OpType.SET, "log.retention.ms", "70000000"),
                    op(OpType.SET, "message.max.bytes", "1000000"),
                    op(OpType.SET, "log.retention.ms", "soon"),
                    op(OpType.SET, "node.id", "5"),
                    op(OpType.SET, "num.partitions", "5"),
                    op(OpType.SET, "nope", "5"),
                    op(OpType.APPEND, "log.retention.ms", "5"),
                    op(OpType.SET, "log.cleanup.policy", "delete"),
                    op(OpType.APPEND, "log.cleanup.policy", "compact"),
                    op(OpType.DELETE, "log.cleanup.policy", null),
                    op(OpType.SET, "background.threads", "11"),
                    op(OpType.SET, "log.cleaner.threads", "100"))) {
                alter(one, change);
            }
        }
        describe("of broker and all", topic, "retention.ms", "max.message.bytes", "cleanup.policy");
        describe("broker", broker, "log.retention.ms", "message.max.bytes", "log.cleanup.policy", "log.retention.hours", "node.id", "background.threads", "nope");
        describe("every broker", every);
        for (ConfigResource one : List.of(broker, every)) {
            alter(one, op(OpType.DELETE, "log.retention.ms", null), op(OpType.DELETE, "message.max.bytes", null),
                op(OpType.DELETE, "nope", null), op(OpType.DELETE, "background.threads", null));
        }
        alter(group, op(OpType.SET, "consumer.session.timeout.ms", "50000"), op(OpType.SET, "consumer.heartbeat.interval.ms", "6000"));
        alter(group, op(OpType.SET, "consumer.session.timeout.ms", "1"));
        describe("group", group);
        alter(metrics, op(OpType.SET, "interval.ms", "5000"), op(OpType.SET, "metrics", "a,b"), op(OpType.SET, "match", "client_id=a.*"));
        alter(metrics, op(OpType.SET, "match", "who=a"));
        describe("metrics", metrics);
        tell("subscriptions", () -> admin.listClientMetricsResources().all().get().size());
        alter(metrics, op(OpType.DELETE, "interval.ms", null), op(OpType.DELETE, "metrics", null), op(OpType.DELETE, "match", null));
        settle();
        tell("no subscriptions", () -> admin.listClientMetricsResources().all().get().size());
        alter(loggers, op(OpType.SET, "root", "INFO"));
        alter(loggers, op(OpType.SET, "root", "LOUD"));
        alter(loggers, op(OpType.SET, "nobody", "INFO"));
        alter(loggers, op(OpType.DELETE, "root", null));
        alter(loggers, op(OpType.APPEND, "root", "INFO"));
        alter(of(ConfigResource.Type.TOPIC, ""), op(OpType.SET, "flush.ms", "7"));
        alter(of(ConfigResource.Type.TOPIC, "a/b"), op(OpType.SET, "flush.ms", "7"));
        List<ConfigResource> many = IntStream.range(0, MANY).mapToObj(i -> of(ConfigResource.Type.TOPIC, name + "many-" + i)).toList();
        tell("describe many", () -> counted(admin.describeConfigs(many).values()));
        Map<ConfigResource, Collection<AlterConfigOp>> changes =
            many.stream().collect(Collectors.toMap(one -> one, one -> List.of(op(OpType.SET, "flush.ms", "7"))));
        tell("alter many", () -> counted(admin.incrementalAlterConfigs(changes).values()));
    }

    private void alter(ConfigResource resource, AlterConfigOp... changes) {
        String text = Arrays.stream(changes)
            .map(change -> change.opType() + " " + change.configEntry().name() + "=" + change.configEntry().value())
            .collect(Collectors.joining(", "));
        tell("alter " + resource.type() + " " + resource.name() + " " + text,
            () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(changes))).all().get());
    }

    /** A broker hears of changes in their order, so what shows this one shows all before it. */
    private void settle() throws Exception {
        changes += 1;
        ConfigResource marked = of(ConfigResource.Type.TOPIC, name + "set");
        AlterConfigOp mark = op(OpType.SET, "file.delete.delay.ms", String.valueOf(changes));
        admin.incrementalAlterConfigs(Map.of(marked, List.of(mark))).all().get();
        for (int i = 0; i < 300; i += 1) {
            Config config = admin.describeConfigs(List.of(marked)).all().get().get(marked);
            if (config.get("file.delete.delay.ms").value().equals(String.valueOf(changes))) {
                return;
            }
            Thread.sleep(20);
        }
        facts.add("never shown: change " + changes);
    }

    /** All of its settings, or those of some names, each as one fact. */
    private void describe(String what, ConfigResource resource, String... names) throws Exception {
        settle();
        Config config;
        try {
            DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
            config = admin.describeConfigs(List.of(resource), options).all().get().get(resource);
        } catch (ExecutionException error) {
            facts.add(what + " " + resource.type() + " " + resource.name() + ": " + told(error.getCause()));
            return;
        }
        List<String> lines = new ArrayList<>();
        for (ConfigEntry entry : config.entries()) {
            if (names.length > 0 && !List.of(names).contains(entry.name())) {
                continue;
            }
            String synonyms = entry.synonyms().stream()
                .map(synonym -> synonym.source() + ":" + synonym.name() + "=" + synonym.value())
                .collect(Collectors.joining(", "));
            boolean documented = entry.documentation() != null && !entry.documentation().isEmpty();
            lines.add(what + " " + entry.name() + "=" + entry.value() + " " + entry.source() + " " + entry.type() + " " + entry.isReadOnly()
                + " " + entry.isSensitive() + " " + entry.isDefault() + " " + documented + " [" + synonyms + "]");
        }
        lines.sort(null);
        facts.addAll(lines);
    }

    private void cluster() throws Exception {
        tell("controller", () -> admin.describeCluster().controller().get().id());
        tell("nodes", () -> admin.describeCluster().nodes().get().size());
        tell("operations", () -> admin.describeCluster().authorizedOperations().get());
        tell("operations asked for", () -> sorted(
            admin.describeCluster(new DescribeClusterOptions().includeAuthorizedOperations(true)).authorizedOperations().get()));
        tell("log dirs", () -> admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().stream()
            .map(dir -> dir.error() + " " + dir.totalBytes().isPresent() + " " + dir.usableBytes().isPresent()).toList());
        String dir = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).keySet().iterator().next();
        TopicPartitionReplica here = new TopicPartitionReplica(name + "set", 0, 1);
        TopicPartitionReplica absent = new TopicPartitionReplica("absent", 0, 1);
        tell("replica", () -> admin.describeReplicaLogDirs(List.of(here)).all().get().get(here).getCurrentReplicaLogDir().equals(dir));
        tell("absent replica", () -> admin.describeReplicaLogDirs(List.of(absent)).all().get().get(absent));
        tellEach("stay", admin.alterReplicaLogDirs(Map.of(here, dir, absent, dir)).values());
        tellEach("go", admin.alterReplicaLogDirs(Map.of(here, "/nowhere")).values());
        QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
        tell("quorum", () -> quorum.leaderId() + " " + quorum.voters().size() + " " + quorum.observers().size() + " "
            + quorum.voters().get(0).replicaId() + " " + (quorum.highWatermark() >= 0) + " "
            + quorum.voters().get(0).lastFetchTimestamp().isPresent());
        tell("feature", () -> admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("transaction.version"));
        FeatureUpdate one = new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.SAFE_DOWNGRADE);
        FeatureUpdate far = new FeatureUpdate((short) 99, FeatureUpdate.UpgradeType.UPGRADE);
        UpdateFeaturesOptions judge = new UpdateFeaturesOptions().validateOnly(true);
        tell("judge feature", () -> admin.updateFeatures(Map.of("transaction.version", one), judge).all().get());
        tell("judge far feature", () -> admin.updateFeatures(Map.of("transaction.version", far), judge).all().get());
        tell("unregister nobody", () -> admin.unregisterBroker(7).all().get());
        tell("transactions", () -> admin.listTransactions().all().get());
        tell("producers", () -> {
            TopicPartition partition = new TopicPartition(name + "set", 0);
            return admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
        });
        tell("absent transaction", () -> admin.describeTransactions(List.of("nobody")).description("nobody").get());
        tell("absent offsets", () -> admin.listConsumerGroupOffsets("nobody").partitionsToOffsetAndMetadata().get());
        tellEach("dissolve", admin.deleteConsumerGroups(List.of("nobody")).deletedGroups());
    }
}
