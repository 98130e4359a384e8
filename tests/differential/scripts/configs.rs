//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources.

use chronikd::config;
use chronikd::proto::ApiKey;
use chronikd::proto::schema::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as Whole, AlterableConfig as Setting,
};
use chronikd::proto::schema::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use chronikd::proto::schema::incremental_alter_configs::{
    AlterConfigsResource as Part, AlterableConfig as Change, IncrementalAlterConfigsRequest,
};
use chronikd::proto::schema::list_config_resources::ListConfigResourcesRequest;

use crate::run::{Conn, Run};
use crate::scripts::kit::topic;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const LOGGER: i8 = 8;
pub(super) const METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

pub(super) const SET: i8 = 0;
pub(super) const DELETE: i8 = 1;
pub(super) const APPEND: i8 = 2;
pub(super) const SUBTRACT: i8 = 3;

pub(super) type Resource = (i8, &'static str);
/// Name, operation and value.
pub(super) type Changes<'a> = &'a [(&'static str, i8, Option<&'static str>)];

pub(super) fn describe(
    run: &mut Run<'_>,
    conn: Conn,
    resources: &[Resource],
    keys: &[&'static str],
) {
    let resource = |&(resource_type, resource_name): &Resource| DescribeConfigsResource {
        resource_type,
        resource_name,
        configuration_keys: Some(keys.to_vec()).filter(|keys| !keys.is_empty()),
    };
    let request = DescribeConfigsRequest {
        resources: resources.iter().map(resource).collect(),
        include_synonyms: run.version(ApiKey::DescribeConfigs) >= 1,
        include_documentation: false,
    };
    run.ask(conn, request);
}

pub(super) fn part(
    (resource_type, resource_name): Resource,
    changes: Changes<'_>,
) -> Part<'static> {
    let change = |&(name, config_operation, value): &_| Change {
        name,
        config_operation,
        value,
    };
    Part {
        resource_type,
        resource_name,
        configs: changes.iter().map(change).collect(),
    }
}

pub(super) fn change_all(
    run: &mut Run<'_>,
    conn: Conn,
    resources: Vec<Part<'static>>,
    validate_only: bool,
) {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only,
    };
    run.ask(conn, request);
}

pub(super) fn change(run: &mut Run<'_>, conn: Conn, resource: Resource, changes: Changes<'_>) {
    change_all(run, conn, vec![part(resource, changes)], false);
}

pub(super) fn replace(
    run: &mut Run<'_>,
    conn: Conn,
    resource: Resource,
    settings: &[(&'static str, Option<&'static str>)],
) {
    let setting = |&(name, value): &_| Setting { name, value };
    let request = AlterConfigsRequest {
        resources: vec![Whole {
            resource_type: resource.0,
            resource_name: resource.1,
            configs: settings.iter().map(setting).collect(),
        }],
        validate_only: false,
    };
    run.ask(conn, request);
}

/// Kafka 3 has other keys; only some of them are asked of it.
fn is_of_kafka_3(run: &Run<'_>) -> bool {
    run.version(ApiKey::DescribeConfigs) == 0
}

pub(crate) fn of_topics(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let settings = &[
        ("retention.ms", "1000"),
        ("cleanup.policy", "compact,delete"),
    ];
    let topic = topic(run, conn, 1, settings);
    let of_topic = (TOPIC, topic.name);
    if !is_of_kafka_3(run) {
        describe(run, conn, &[of_topic], &[]);
    }
    let keys = &["retention.ms", "nope", "segment.bytes"];
    describe(run, conn, &[of_topic, of_topic], keys);
    let strange = &[(TOPIC, "absent"), (TOPIC, ""), (TOPIC, "a/b")];
    describe(run, conn, strange, &[]);
}

/// Settings of brokers whose values or defaults are not the same; their names and types are.
const DIFFERENT: &[&str] = &[
    // What the two were started with, or write themselves.
    "broker.id",
    "broker.session.timeout.ms",
    "controller.listener.names",
    "controller.quorum.voters",
    "group.initial.rebalance.delay.ms",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "offsets.topic.num.partitions",
    "offsets.topic.replication.factor",
    "process.roles",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.num.partitions",
    "share.coordinator.state.topic.replication.factor",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    "transaction.state.log.min.isr",
    "transaction.state.log.num.partitions",
    "transaction.state.log.replication.factor",
    // Defaults that chronikd.conf(5) lists: a small machine must stay one.
    "max.connections",
    "queued.max.request.bytes",
    // Java classes, and a mechanism that is not served.
    "metric.reporters",
    "principal.builder.class",
    "sasl.enabled.mechanisms",
    "sasl.oauthbearer.jwt.retriever.class",
    "sasl.oauthbearer.jwt.validator.class",
];

pub(crate) fn of_brokers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    if !is_of_kafka_3(run) {
        let keys = config::broker_keys().map(|key| key.name);
        let keys: Vec<&str> = keys.filter(|name| !DIFFERENT.contains(name)).collect();
        describe(run, conn, &[(BROKER, "1")], &keys);
    }
    let keys = &["log.retention.hours", "log.retention.ms", "nope"];
    describe(
        run,
        conn,
        &[(BROKER, "1"), (BROKER, "2"), (BROKER, "x")],
        keys,
    );
    describe(
        run,
        conn,
        &[(LOGGER, ""), (LOGGER, "2"), (LOGGER, "x")],
        &[],
    );
}

pub(crate) fn names_of_brokers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    if is_of_kafka_3(run) {
        return;
    }
    run.ask(
        conn,
        DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: BROKER,
                resource_name: "1",
                configuration_keys: None,
            }],
            include_synonyms: false,
            include_documentation: false,
        },
    );
}

pub(crate) fn of_others(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    if is_of_kafka_3(run) {
        return;
    }
    let all = &[
        (GROUP, "nobody"),
        (METRICS, "none"),
        (GROUP, ""),
        (METRICS, ""),
    ];
    describe(run, conn, all, &[]);
    describe(run, conn, &[(GROUP, "nobody"), (3, "x")], &[]);
}

/// Changes that a topic may have, one after the other.
const GOOD: &[Changes<'_>] = &[
    &[
        ("retention.bytes", SET, Some("7")),
        ("retention.ms", DELETE, None),
    ],
    &[("cleanup.policy", APPEND, Some("compact"))],
    &[("cleanup.policy", SUBTRACT, Some("delete,nope"))],
];

/// Changes that no topic may have.
const BAD: &[Changes<'_>] = &[
    &[("retention.ms", APPEND, Some("1"))],
    &[("nope", SUBTRACT, Some("1"))],
    &[("nope", SET, Some("1"))],
    &[
        ("segment.bytes", SET, Some("1")),
        ("retention.ms", SET, Some("6")),
    ],
    &[("segment.bytes", SET, None), ("retention.ms", SET, None)],
    &[
        ("retention.ms", SET, Some("1")),
        ("retention.ms", DELETE, None),
    ],
    &[
        ("min.compaction.lag.ms", SET, Some("9")),
        ("max.compaction.lag.ms", SET, Some("8")),
    ],
    &[("remote.storage.enable", SET, Some("true"))],
];

pub(crate) fn changes_of_topics(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 1, &[("retention.ms", "1000")]);
    let it = (TOPIC, topic.name);
    let judged = vec![part(it, &[("retention.ms", SET, Some("5"))])];
    change_all(run, conn, judged, true);
    for changes in [GOOD, BAD].concat() {
        change(run, conn, it, changes);
    }
    for name in ["absent", "", "a/b"] {
        change(
            run,
            conn,
            (TOPIC, name),
            &[("retention.ms", SET, Some("6"))],
        );
    }
    change(run, conn, (TOPIC, "absent"), &[("nope", SET, Some("6"))]);
    let twice = vec![part(it, &[]), part(it, &[]), part((TOPIC, "absent"), &[])];
    change_all(run, conn, twice, false);
    change(run, conn, (3, "x"), &[]);
    let keys = &["retention.ms", "retention.bytes", "cleanup.policy"];
    describe(run, conn, &[it], keys);
}

pub(crate) fn changes_of_brokers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let one = (BROKER, "1");
    change(run, conn, one, &[("num.partitions", SET, Some("5"))]);
    change(run, conn, one, &[("log.retention.ms", SET, Some("x"))]);
    change(run, conn, one, &[("log.retention.ms", APPEND, Some("x"))]);
    change(run, conn, one, &[("nope", APPEND, Some("x"))]);
    change(run, conn, one, &[("ssl.keystore.type", SET, Some("PEM"))]);
    change(
        run,
        conn,
        (BROKER, ""),
        &[("sasl.enabled.mechanisms", SET, Some("PLAIN"))],
    );
    change(
        run,
        conn,
        (BROKER, "2"),
        &[("log.retention.ms", SET, Some("5"))],
    );
    change(
        run,
        conn,
        (BROKER, "x"),
        &[("log.retention.ms", SET, Some("5"))],
    );
    change(run, conn, one, &[("log.retention.ms", 9, Some("5"))]);
    let all = vec![part(
        one,
        &[("log.segment.delete.delay.ms", SET, Some("60001"))],
    )];
    change_all(run, conn, all, true);
}

pub(crate) fn changes_of_loggers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let one = (LOGGER, "1");
    change(run, conn, one, &[("nobody", SET, Some("INFO"))]);
    change(run, conn, one, &[("root", SET, Some("LOUD"))]);
    change(run, conn, one, &[("root", DELETE, None)]);
    change(run, conn, one, &[("root", APPEND, Some("INFO"))]);
    change(run, conn, one, &[("root", SUBTRACT, Some("INFO"))]);
    change(run, conn, (LOGGER, "2"), &[("root", SET, Some("INFO"))]);
    change(run, conn, (LOGGER, "x"), &[("root", SET, Some("INFO"))]);
    change_all(
        run,
        conn,
        vec![part(one, &[("root", SET, Some("INFO"))])],
        true,
    );
}

pub(crate) fn changes_of_others(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [group, metrics] = [(GROUP, run.name("kept")), (METRICS, run.name("sub"))];
    change(
        run,
        conn,
        group,
        &[("consumer.session.timeout.ms", SET, Some("50000"))],
    );
    change(
        run,
        conn,
        group,
        &[("consumer.session.timeout.ms", SET, Some("1"))],
    );
    change(
        run,
        conn,
        group,
        &[("share.isolation.level", SET, Some("none"))],
    );
    change(run, conn, group, &[("nope", SET, Some("1"))]);
    change(
        run,
        conn,
        (GROUP, ""),
        &[("consumer.session.timeout.ms", SET, Some("50000"))],
    );
    change(
        run,
        conn,
        metrics,
        &[
            ("interval.ms", SET, Some("1000")),
            ("match", SET, Some("client_id=a")),
        ],
    );
    change(run, conn, metrics, &[("interval.ms", SET, Some("99"))]);
    change(run, conn, metrics, &[("match", SET, Some("who=a"))]);
    change(run, conn, metrics, &[("nope", SET, Some("1"))]);
    change(
        run,
        conn,
        (METRICS, ""),
        &[("interval.ms", SET, Some("1000"))],
    );
}

pub(crate) fn replacements(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 1, &[("retention.ms", "1000")]);
    let it = (TOPIC, topic.name);
    replace(run, conn, it, &[("retention.bytes", Some("5"))]);
    replace(run, conn, it, &[("retention.bytes", None)]);
    replace(run, conn, it, &[("nope", Some("5"))]);
    replace(
        run,
        conn,
        (TOPIC, "absent"),
        &[("retention.bytes", Some("5"))],
    );
    replace(run, conn, (BROKER, "1"), &[("num.partitions", Some("5"))]);
    replace(run, conn, (LOGGER, "1"), &[("root", Some("INFO"))]);
    replace(run, conn, (3, "x"), &[]);
}

pub(crate) fn lists(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let types: &[&[i8]] = match run.version(ApiKey::ListConfigResources) {
        0 => &[&[]],
        _ => &[
            &[BROKER, LOGGER],
            &[3],
            &[BROKER, 3],
            &[GROUP],
            &[TOPIC],
            &[GROUP, METRICS, TOPIC],
        ],
    };
    for types in types {
        let resource_types = types.to_vec();
        run.ask(conn, ListConfigResourcesRequest { resource_types });
    }
}
