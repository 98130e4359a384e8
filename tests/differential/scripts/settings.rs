//! Settings of brokers, groups and subscriptions: their layers, lists that are added to, and what is refused.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};

use crate::run::{Conn, Run};
use crate::scripts::configs::{
    APPEND, BROKER, Changes, DELETE, GROUP, LOGGER, METRICS, Resource, SET, SUBTRACT, TOPIC,
    change, change_all, describe, part, replace,
};
use crate::scripts::kit::topic;

const ONE: Resource = (BROKER, "1");
const EVERY: Resource = (BROKER, "");

/// What no broker may have, each by itself.
const REFUSED: &[Changes<'_>] = &[
    &[("log.roll.ms", SET, Some("-1"))],
    &[("log.roll.jitter.ms", SET, Some("-5"))],
    &[("log.retention.ms", SET, Some("0"))],
    &[("log.cleaner.dedupe.buffer.size", SET, Some("1"))],
    &[("max.connections.per.ip", SET, Some("0"))],
    &[("num.io.threads", SET, Some("1000"))],
    &[("num.io.threads", SET, Some("1"))],
    &[("num.network.threads", SET, Some("1000"))],
    &[("num.replica.fetchers", SET, Some("1000"))],
    &[("background.threads", SET, Some("1000"))],
    &[("num.recovery.threads.per.data.dir", SET, Some("1000"))],
    &[("listener.name.x.max.connections", SET, Some("zz"))],
    &[("nope", APPEND, Some("1"))],
    &[("log.retention.ms", APPEND, Some("1"))],
];

/// What Kafka lets a broker have, strange as it is.
const TAKEN: &[Changes<'_>] = &[
    &[("log.retention.ms", SET, Some("-9"))],
    &[("log.flush.interval.ms", SET, Some("-3"))],
    &[("my.plugin", SET, Some("x"))],
    &[("listener.name.x.max.connections", SET, Some("5"))],
    &[("log.cleanup.policy", SET, Some(""))],
];

pub(crate) fn refusals(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    for changes in [REFUSED, TAKEN].concat() {
        change_all(run, conn, vec![part(ONE, changes)], true);
    }
}

/// What Kafka refuses with the reason inside a sentence about its own exception, or with that alone.
const FRAMED: &[Changes<'_>] = &[
    &[("log.local.retention.ms", SET, Some("9999999999999"))],
    &[
        ("log.local.retention.bytes", SET, Some("5")),
        ("log.retention.bytes", SET, Some("3")),
    ],
    &[("log.cleaner.threads", SET, Some("0"))],
    &[("max.connections", SET, Some("0"))],
    &[("max.connection.creation.rate", SET, Some("0"))],
    &[("max.connections.per.ip.overrides", SET, Some("garbage"))],
    &[("listener.name.plaintext.max.connections", SET, Some("0"))],
];

pub(crate) fn framed(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    for changes in FRAMED {
        change_all(run, conn, vec![part(ONE, changes)], true);
    }
}

/// What one of the two refuses and the other takes, or fails with; chronikd-protocol(7) says so.
const DISPUTED: &[(Resource, Changes<'_>)] = &[
    ((BROKER, "01"), &[("log.retention.ms", SET, Some("5"))]),
    (
        ONE,
        &[
            ("log.cleaner.min.compaction.lag.ms", SET, Some("50")),
            ("log.cleaner.max.compaction.lag.ms", SET, Some("5")),
        ],
    ),
    (ONE, &[("cordoned.log.dirs", SET, Some("/nowhere"))]),
    (ONE, &[("principal.builder.class", SET, Some("no.Class"))]),
    (ONE, &[("min.insync.replicas", SET, Some("1"))]),
    (EVERY, &[("min.insync.replicas", DELETE, None)]),
];

pub(crate) fn disputed(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    for &(resource, changes) in DISPUTED {
        change_all(run, conn, vec![part(resource, changes)], true);
    }
    let topic = topic(run, conn, 1, &[]);
    change(
        run,
        conn,
        (TOPIC, topic.name),
        &[("flush.ms", 9, Some("1"))],
    );
}

/// All names come before all values, and before what holds for several.
pub(crate) fn two_faults(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 1, &[]);
    let resources = [
        (TOPIC, topic.name),
        (GROUP, run.name("faulty")),
        (METRICS, run.name("faulty")),
    ];
    let keys = ["retention.ms", "consumer.session.timeout.ms", "interval.ms"];
    for (resource, key) in resources.into_iter().zip(keys) {
        change(
            run,
            conn,
            resource,
            &[(key, SET, Some("x")), ("zzz", SET, Some("1"))],
        );
        change(
            run,
            conn,
            resource,
            &[("aaa", SET, Some("1")), (key, SET, Some("x"))],
        );
    }
    for changes in [
        [
            ("log.retention.ms", SET, Some("x")),
            ("num.partitions", SET, Some("5")),
        ],
        [
            ("log.roll.ms", SET, Some("-1")),
            ("num.io.threads", SET, Some("1000")),
        ],
        [
            ("log.retention.ms", SET, Some("x")),
            ("ssl.keystore.type", SET, Some("PEM")),
        ],
    ] {
        change(run, conn, ONE, &changes);
    }
}

/// Replicas whose copying is slowed down.
pub(crate) fn replicas(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 1, &[]);
    let of_topic = (TOPIC, topic.name);
    let key = "leader.replication.throttled.replicas";
    for value in [
        "zzz",
        "*",
        "0:1,,1:1",
        "0:1,0:1",
        "0:1,*",
        "0:",
        "0:-1",
        " 0:1 , 1:1 ",
        "",
    ] {
        change(run, conn, of_topic, &[(key, SET, Some(value))]);
    }
    change(run, conn, of_topic, &[(key, SET, Some("0:1"))]);
    change(run, conn, of_topic, &[(key, APPEND, Some("0:1,1:1"))]);
    change(run, conn, of_topic, &[(key, APPEND, Some("what"))]);
    await_value(run, conn, of_topic, key, Some("0:1,1:1"));
    describe(run, conn, &[of_topic], &[key]);
}

/// Lists, of which Kafka knows those of topics and brokers.
pub(crate) fn lists(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [group, metrics] = [(GROUP, run.name("list")), (METRICS, run.name("list"))];
    change(
        run,
        conn,
        group,
        &[("consumer.session.timeout.ms", APPEND, Some("1"))],
    );
    for key in ["match", "metrics", "interval.ms", "nope"] {
        for op in [APPEND, SUBTRACT] {
            change(run, conn, metrics, &[(key, op, Some("client_id=a"))]);
        }
    }
    let key = "ssl.cipher.suites";
    for (op, value, shown) in [
        (APPEND, "a,b", "a,b"),
        (APPEND, "b,c", "a,b,c"),
        (SUBTRACT, "a,x", "b,c"),
    ] {
        change(run, conn, ONE, &[(key, op, Some(value))]);
        await_value(run, conn, ONE, key, Some(shown));
        describe(run, conn, &[ONE], &[key]);
    }
    change(run, conn, EVERY, &[(key, APPEND, Some("a"))]);
    change(run, conn, ONE, &[(key, DELETE, None)]);
    await_value(run, conn, ONE, key, Some(""));
}

/// What both were started with for this key: see the pair.
const LAYERED: &str = "log.cleaner.backoff.ms";
const OF_LISTENER: &str = "listener.name.x.max.connections.per.ip";

/// One key for this broker, for all of them and from the start.
pub(crate) fn layers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let both = [ONE, EVERY];
    let keys = [LAYERED, OF_LISTENER];
    describe(run, conn, &both, &keys);
    change(run, conn, EVERY, &[(LAYERED, SET, Some("11000"))]);
    await_value(run, conn, ONE, LAYERED, Some("11000"));
    describe(run, conn, &both, &keys);
    let changes = &[(LAYERED, SET, Some("12000")), (OF_LISTENER, SET, Some("5"))];
    change(run, conn, ONE, changes);
    await_value(run, conn, ONE, LAYERED, Some("12000"));
    describe(run, conn, &both, &keys);
    change(run, conn, EVERY, &[(LAYERED, DELETE, None)]);
    let gone = &[(LAYERED, DELETE, None), (OF_LISTENER, DELETE, None)];
    change(run, conn, ONE, gone);
    await_value(run, conn, ONE, LAYERED, Some("14000"));
    describe(run, conn, &both, &keys);
}

/// All that clients have set for a broker, replaced.
pub(crate) fn replacements(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    replace(run, conn, ONE, &[(LAYERED, Some("13000"))]);
    await_value(run, conn, ONE, LAYERED, Some("13000"));
    describe(run, conn, &[ONE], &[LAYERED]);
    replace(
        run,
        conn,
        ONE,
        &[("log.cleaner.io.buffer.load.factor", Some("0.8"))],
    );
    await_value(run, conn, ONE, LAYERED, Some("14000"));
    let keys = [LAYERED, "log.cleaner.io.buffer.load.factor"];
    describe(run, conn, &[ONE, EVERY], &keys);
    replace(run, conn, ONE, &[]);
    await_value(run, conn, ONE, keys[1], Some("0.9"));
    // Kafka has set this one itself, and keeps it.
    let own = ("min.insync.replicas", Some("1"));
    replace(run, conn, EVERY, &[own, (LAYERED, Some("11000"))]);
    await_value(run, conn, ONE, LAYERED, Some("11000"));
    describe(run, conn, &[ONE, EVERY], &keys);
    replace(run, conn, EVERY, &[own]);
    await_value(run, conn, ONE, LAYERED, Some("14000"));
    replace(run, conn, EVERY, &[]);
}

/// Groups are held against what the brokers were started with, and shown with it.
pub(crate) fn of_groups(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let [group, metrics] = [(GROUP, run.name("shown")), (METRICS, run.name("shown"))];
    let [beat, session] = [
        "consumer.heartbeat.interval.ms",
        "consumer.session.timeout.ms",
    ];
    for (key, value) in [
        (beat, "46000"),
        (beat, "48000"),
        (session, "46000"),
        (session, "52000"),
        ("share.auto.offset.reset", "by_duration:Pxx"),
        ("share.auto.offset.reset", "by_duration:-PT1H"),
        ("share.auto.offset.reset", "by_duration:PT1H"),
    ] {
        change(run, conn, group, &[(key, SET, Some(value))]);
    }
    for (key, value) in [
        ("match", "client_id=a="),
        ("metrics", "a,b"),
        ("interval.ms", " 1000 "),
        ("match", "client_id=a , client_id=b"),
        ("push.interval", "5"),
    ] {
        change(run, conn, metrics, &[(key, SET, Some(value))]);
    }
    await_value(run, conn, group, session, Some("52000"));
    await_value(run, conn, metrics, "interval.ms", Some("1000"));
    describe(run, conn, &[group, metrics], &[]);
    change(run, conn, group, &[(session, DELETE, None)]);
    change(run, conn, metrics, &[("interval.ms", DELETE, None)]);
    await_value(run, conn, group, session, Some("50000"));
    await_value(run, conn, metrics, "interval.ms", Some("300000"));
    describe(run, conn, &[group, metrics], &[]);
}

/// Two words that may mean the same here.
pub(crate) fn levels(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let one = (LOGGER, "1");
    for level in ["FATAL", "ERROR", "INFO"] {
        change(run, conn, one, &[("root", SET, Some(level))]);
        describe(run, conn, &[one], &["root"]);
    }
}

/// Waits until a setting is shown with this value, which takes Kafka a moment.
fn await_value(
    run: &mut Run<'_>,
    conn: Conn,
    (resource_type, resource_name): Resource,
    key: &'static str,
    value: Option<&str>,
) {
    let ask = |_| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name,
            configuration_keys: Some(vec![key]),
        }],
        include_synonyms: false,
        include_documentation: false,
    };
    let newest = run.range(ApiKey::DescribeConfigs).1;
    run.settle(newest, conn, ask, |answer| {
        let mut found = answer.results[0].configs.iter();
        found.any(|it| it.value.as_deref() == value)
    });
}
