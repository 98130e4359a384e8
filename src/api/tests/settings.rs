//! Settings: what is shown of them, who may change which, and that a change holds, over kills too.

use super::*;
use crate::broker::settings::ResourceType;
use crate::proto::schema::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as Whole, AlterConfigsResponse,
    AlterableConfig as Setting,
};
use crate::proto::schema::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use crate::proto::schema::incremental_alter_configs::{
    AlterConfigsResource as Part, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use crate::proto::schema::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

const TOPIC: (ResourceType, &str) = (ResourceType::Topic, "t");
const BROKER: (ResourceType, &str) = (ResourceType::Broker, "1");
const BROKERS: (ResourceType, &str) = (ResourceType::Broker, "");
const LOGGERS: (ResourceType, &str) = (ResourceType::BrokerLogger, "1");

type Change = (&'static str, i8, &'static str);

impl Bench {
    fn with_two_partitions() -> Bench {
        let mut bench = Bench::new();
        assert_eq!(bench.create(topic(2)).0, ErrorCode::NONE);
        bench.run();
        bench
    }

    /// The disk is full, and the journal has used up what it had.
    fn fill_disk(&mut self) {
        self.disk.set_capacity(Some(1 << 30));
        let root = Path::new(ROOT);
        let free = self.disk.free_bytes(root).expect("a disk that is whole");
        self.disk.set_capacity(Some((1 << 30) - free));
        let mut refused = None;
        for number in 0..100 {
            let name = format!("{number}{}", "x".repeat(30_000));
            let change = [("consumer.session.timeout.ms", SET, "50000")];
            let code = self.change((ResourceType::Group, &name), &change);
            if code != ErrorCode::NONE {
                refused = Some((number, code));
                break;
            }
            self.run();
        }
        let (number, code) = refused.expect("the journal gets short");
        assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR);
        assert!(number > 10, "{number}");
    }

    fn change_parts(&mut self, parts: Vec<Part<'_>>, validate_only: bool) -> Vec<ErrorCode> {
        let request = IncrementalAlterConfigsRequest {
            resources: parts,
            validate_only,
        };
        let body = self
            .ask(ApiKey::IncrementalAlterConfigs, 1, &request)
            .answer();
        let answer: IncrementalAlterConfigsResponse<'_> =
            proto::decode(&body, 1, true).expect("a response");
        answer.responses.iter().map(|it| it.error_code).collect()
    }

    fn change(&mut self, of: (ResourceType, &str), changes: &[Change]) -> ErrorCode {
        self.change_parts(vec![part(of, changes)], false)[0]
    }

    /// Value and source.
    fn shown(&mut self, (kind, resource_name): (ResourceType, &str), key: &str) -> (String, i8) {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: kind as i8,
                resource_name,
                configuration_keys: Some(vec![key]),
            }],
            ..Default::default()
        };
        let body = self.ask(ApiKey::DescribeConfigs, 4, &request).answer();
        let answer: DescribeConfigsResponse<'_> =
            proto::decode(&body, 4, true).expect("a response");
        let [setting] = &answer.results[0].configs[..] else {
            return (String::new(), 0);
        };
        let value = setting.value.as_deref().unwrap_or("null");
        (value.to_owned(), setting.config_source)
    }
}

fn part<'a>((kind, resource_name): (ResourceType, &'a str), changes: &[Change]) -> Part<'a> {
    let change = |&(name, config_operation, value): &Change| AlterableConfig {
        name,
        config_operation,
        value: Some(value).filter(|value| !value.is_empty()),
    };
    Part {
        resource_type: kind as i8,
        resource_name,
        configs: changes.iter().map(change).collect(),
    }
}

fn is(value: &str, source: i8) -> (String, i8) {
    (value.to_owned(), source)
}

#[test]
fn a_topic_obeys_its_new_settings_and_keeps_them() {
    let mut bench = Bench::with_two_partitions();
    let key = "max.message.bytes";
    assert_eq!(bench.change(TOPIC, &[(key, SET, "50")]), ErrorCode::NONE);
    assert!(bench.round > bench.broker.synced_round());
    bench.run();
    assert_eq!(bench.shown(TOPIC, key), is("50", 1));
    let log = bench.broker.log("t", 1).expect("a log");
    assert_eq!(log.config().max_message_bytes, 50);
    let mut bench = bench.restart();
    bench.run();
    assert_eq!(bench.shown(TOPIC, key), is("50", 1));
    assert_eq!(bench.change(TOPIC, &[(key, DELETE, "")]), ErrorCode::NONE);
    assert_eq!(bench.shown(TOPIC, key), is("1048588", 5));
}

#[test]
fn every_topic_obeys_the_broker_s_new_settings() {
    let mut bench = Bench::with_two_partitions();
    bench.broker.take_reconfigured();
    let change = |value| [("message.max.bytes", SET, value)];
    assert_eq!(bench.change(BROKERS, &change("60")), ErrorCode::NONE);
    assert!(bench.broker.take_reconfigured());
    assert_eq!(bench.shown(TOPIC, "max.message.bytes"), is("60", 3));
    assert_eq!(bench.change(BROKER, &change("70")), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    bench.run();
    assert_eq!(bench.shown(TOPIC, "max.message.bytes"), is("70", 2));
    assert_eq!(bench.shown(BROKER, "message.max.bytes"), is("70", 2));
    assert_eq!(bench.shown(BROKERS, "message.max.bytes"), is("60", 3));
    let log = bench.broker.log("t", 0).expect("a log");
    assert_eq!(log.config().max_message_bytes, 70);
    assert_eq!(bench.broker.config().message_max_bytes, 70);
}

#[test]
fn a_resource_gets_all_of_its_changes_or_none() {
    let mut bench = Bench::with_two_partitions();
    let both = [("retention.ms", SET, "5"), ("segment.bytes", SET, "1")];
    assert_eq!(bench.change(TOPIC, &both), ErrorCode::INVALID_CONFIG);
    assert_eq!(bench.shown(TOPIC, "retention.ms").1, 5);
    let good = part(TOPIC, &both[..1]);
    let bad = part(BROKER, &[("num.partitions", SET, "5")]);
    let codes = [ErrorCode::INVALID_REQUEST, ErrorCode::NONE];
    assert_eq!(
        bench.change_parts(vec![bad.clone(), good.clone()], true),
        codes
    );
    assert_eq!(bench.shown(TOPIC, "retention.ms").1, 5, "only judged");
    assert_eq!(bench.change_parts(vec![bad, good], false), codes);
    assert_eq!(bench.shown(TOPIC, "retention.ms"), is("5", 1));
}

#[test]
fn a_replacement_takes_away_what_it_does_not_name() {
    let mut bench = Bench::with_two_partitions();
    assert_eq!(
        bench.change(TOPIC, &[("retention.ms", SET, "5")]),
        ErrorCode::NONE
    );
    let request = AlterConfigsRequest {
        resources: vec![Whole {
            resource_type: ResourceType::Topic as i8,
            resource_name: "t",
            configs: vec![Setting {
                name: "retention.bytes",
                value: Some("7"),
            }],
        }],
        validate_only: false,
    };
    let body = bench.ask(ApiKey::AlterConfigs, 2, &request).answer();
    let answer: AlterConfigsResponse<'_> = proto::decode(&body, 2, true).expect("a response");
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(bench.shown(TOPIC, "retention.ms").1, 5);
    assert_eq!(bench.shown(TOPIC, "retention.bytes"), is("7", 1));
}

#[test]
fn levels_of_loggers_hold_until_a_restart() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.change(LOGGERS, &[("net", SET, "TRACE")]),
        ErrorCode::NONE
    );
    assert_eq!(bench.shown(LOGGERS, "net"), is("TRACE", 6));
    assert_eq!(bench.shown(LOGGERS, "root"), is("INFO", 6));
    assert_eq!(
        bench.change(LOGGERS, &[("api", SET, "FATAL")]),
        ErrorCode::NONE
    );
    assert_eq!(bench.shown(LOGGERS, "api"), is("FATAL", 6));
    assert_eq!(
        bench.change(LOGGERS, &[("nobody", SET, "INFO")]),
        ErrorCode::INVALID_CONFIG
    );
    let mut bench = bench.restart();
    assert_eq!(bench.shown(LOGGERS, "net"), is("INFO", 6));
}

#[test]
fn what_belongs_to_groups_and_metrics_is_kept_and_listed() {
    let mut bench = Bench::new();
    let group = (ResourceType::Group, "g");
    let change = [("consumer.session.timeout.ms", SET, "50000")];
    assert_eq!(bench.change(group, &change), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    assert_eq!(bench.shown(group, change[0].0), is("50000", 8));
    let resource_types = vec![ResourceType::Group as i8, ResourceType::ClientMetrics as i8];
    let request = ListConfigResourcesRequest { resource_types };
    let body = bench.ask(ApiKey::ListConfigResources, 1, &request).answer();
    let answer: ListConfigResourcesResponse<'_> =
        proto::decode(&body, 1, true).expect("a response");
    let names: Vec<&str> = answer
        .config_resources
        .iter()
        .map(|it| it.resource_name)
        .collect();
    assert_eq!(names, ["g"]);
}

#[test]
fn what_would_be_too_large_is_refused() {
    let mut bench = Bench::with_two_partitions();
    let most: &'static str = Box::leak(format!("1:{}", "1".repeat(32_765)).into_boxed_str());
    let list = "leader.replication.throttled.replicas";
    assert_eq!(bench.change(TOPIC, &[(list, SET, most)]), ErrorCode::NONE);
    let longer = bench.change(TOPIC, &[(list, APPEND, "1:1")]);
    assert_eq!(longer, ErrorCode::INVALID_CONFIG);
    let three = [("a", SET, most), ("b", SET, most), ("c", SET, most)];
    assert_eq!(bench.change(BROKERS, &three[..2]), ErrorCode::NONE);
    assert_eq!(bench.change(BROKERS, &three), ErrorCode::INVALID_CONFIG);
    let resource = DescribeConfigsResource {
        resource_type: ResourceType::Broker as i8,
        resource_name: "1",
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource; 10_000],
        ..Default::default()
    };
    let said = bench.ask(ApiKey::DescribeConfigs, 4, &request);
    assert!(matches!(said, Said::Closes(_)), "{said:?}");
}

#[test]
fn a_broker_has_one_name() {
    let mut bench = Bench::new();
    let first = [("log.roll.ms", SET, "5000")];
    assert_eq!(bench.change(BROKER, &first), ErrorCode::NONE);
    for name in ["01", "+1", "001"] {
        let alias = (ResourceType::Broker, name);
        let code = bench.change(alias, &[("message.max.bytes", SET, "60")]);
        assert_eq!(code, ErrorCode::INVALID_REQUEST, "{name}");
    }
    assert_eq!(bench.shown(BROKER, "log.roll.ms"), is("5000", 2));
}

#[test]
fn a_setting_that_locks_everybody_out_is_refused() {
    let mut bench = Bench::new();
    for of in [BROKER, BROKERS] {
        let code = bench.change(of, &[("max.connections", SET, "0")]);
        assert_eq!(code, ErrorCode::INVALID_REQUEST);
    }
    assert_eq!(
        bench.change(BROKER, &[("max.connections", SET, "1")]),
        ErrorCode::NONE
    );
}

#[test]
fn a_long_quotation_does_not_keep_a_change_from_being_answered() {
    let mut bench = Bench::with_two_partitions();
    let long = "9".repeat(32_767);
    let name = "x".repeat(32_767);
    let digits: &'static str = Box::leak(long.into_boxed_str());
    let change = [("retention.ms", SET, "7")];
    let parts = vec![
        part(TOPIC, &change),
        part((ResourceType::Topic, &name), &change),
        part((ResourceType::Broker, &name), &change),
        part(BROKER, &[("message.max.bytes", SET, digits)]),
    ];
    let codes = [
        ErrorCode::NONE,
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::INVALID_REQUEST,
    ];
    assert_eq!(bench.change_parts(parts, false), codes);
    assert_eq!(bench.shown(TOPIC, "retention.ms"), is("7", 1));
}

#[test]
fn nothing_is_appended_to_what_kafka_has_no_type_of() {
    let mut bench = Bench::new();
    let subscription = (ResourceType::ClientMetrics, "s");
    let code = bench.change(subscription, &[("match", APPEND, "client_id=a")]);
    assert_eq!(code, ErrorCode::INVALID_CONFIG);
    let replicas = "leader.replication.throttled.replicas";
    let mut bench = Bench::with_two_partitions();
    let add = |value| [(replicas, APPEND, value)];
    assert_eq!(bench.change(TOPIC, &add("0:1,1:1,0:1")), ErrorCode::NONE);
    assert_eq!(bench.change(TOPIC, &add("1:1,2:1")), ErrorCode::NONE);
    assert_eq!(bench.shown(TOPIC, replicas), is("0:1,1:1,2:1", 1));
    let take = [(replicas, SUBTRACT, "2:1,0:1,9:9")];
    assert_eq!(bench.change(TOPIC, &take), ErrorCode::NONE);
    assert_eq!(bench.shown(TOPIC, replicas), is("1:1", 1));
}

#[test]
fn what_anybody_can_make_up_has_a_limit() {
    let mut config = BrokerConfig::default();
    config.chronik_settings_bytes = 3000;
    let mut bench = Bench::start_with(SimDisk::new(1, Path::new(ROOT)), config);
    bench.run();
    let change = [("consumer.session.timeout.ms", SET, "50000")];
    let mut add = |name| bench.change((ResourceType::Group, name), &change);
    let codes = ["a", "b", "c", "d", "e", "a"].map(&mut add);
    let (yes, no) = (ErrorCode::NONE, ErrorCode::POLICY_VIOLATION);
    assert_eq!(codes, [yes, yes, yes, yes, no, yes]);
    let gone = bench.change((ResourceType::Group, "a"), &[(change[0].0, DELETE, "")]);
    assert_eq!(gone, ErrorCode::NONE);
    let again = bench.change((ResourceType::Group, "e"), &change);
    assert_eq!(again, ErrorCode::NONE);
}

#[test]
fn more_changes_than_one_request_may_make_are_not_made() {
    let mut bench = Bench::with_two_partitions();
    let names: Vec<String> = (0..10_000).map(|number| format!("s{number}")).collect();
    let change = [("interval.ms", SET, "100")];
    let metrics = |name| part((ResourceType::ClientMetrics, name), &change);
    let mut parts: Vec<Part<'_>> = names.iter().map(|name| metrics(name)).collect();
    let codes = bench.change_parts(parts.clone(), true);
    assert!(codes.iter().all(|code| *code == ErrorCode::NONE));
    parts.push(part(TOPIC, &[("retention.ms", SET, "7")]));
    let codes = bench.change_parts(parts, false);
    let excessive = ErrorCode::POLICY_VIOLATION;
    assert!(codes.iter().all(|code| *code == excessive));
    assert_eq!(bench.shown(TOPIC, "retention.ms").1, 5);
}

#[test]
fn a_full_disk_takes_small_changes_of_what_exists_and_nothing_new() {
    let mut bench = Bench::with_two_partitions();
    bench.fill_disk();
    let code = bench.change(
        (ResourceType::Group, "g"),
        &[("share.session.timeout.ms", SET, "50000")],
    );
    assert_eq!(code, ErrorCode::KAFKA_STORAGE_ERROR, "small, but new");
    let small = [("retention.ms", SET, "7")];
    assert_eq!(bench.change(TOPIC, &small), ErrorCode::NONE);
    bench.run();
    assert!(bench.round <= bench.broker.synced_round());
    assert_eq!(bench.shown(TOPIC, "retention.ms"), is("7", 1));
}

#[test]
fn small_changes_on_a_full_disk_have_one_bound_together() {
    const COUNT: usize = 300;
    let mut bench = Bench::new();
    let names: Vec<String> = (0..COUNT).map(|number| format!("t{number}")).collect();
    for name in &names {
        let made = bench.create(CreatableTopic { name, ..topic(1) });
        assert_eq!(made.0, ErrorCode::NONE);
    }
    bench.run();
    bench.fill_disk();
    let replicas = "leader.replication.throttled.replicas";
    let long: &'static str = Box::leak(["0:1"; 100].join(",").into_boxed_str());
    let change = |bench: &mut Bench, name: &str, op, value| {
        let code = bench.change((ResourceType::Topic, name), &[(replicas, op, value)]);
        bench.run();
        code == ErrorCode::NONE
    };
    let taken = names
        .iter()
        .take_while(|name| change(&mut bench, name, SET, long));
    let taken = taken.count();
    assert!((100..200).contains(&taken), "{taken}");
    assert!(change(&mut bench, "t0", DELETE, ""), "this takes no room");
    assert!(
        change(&mut bench, "t299", SET, long),
        "the room of the other"
    );
    assert!(!change(&mut bench, "t298", SET, long));
    assert!(bench.round <= bench.broker.synced_round());
    bench.disk.set_capacity(None);
    bench.now.mono = bench.now.mono.plus_ms(1000);
    assert!(!bench.broker.may_grow(0), "the journal looks for room");
    bench.run();
    assert!(change(&mut bench, "t298", SET, long), "there is room again");
}

#[test]
fn an_answer_is_bounded_by_its_bytes() {
    let mut bench = Bench::with_two_partitions();
    let long: &'static str = Box::leak(["0:1"; 8000].join(",").into_boxed_str());
    let replicas = "leader.replication.throttled.replicas";
    assert_eq!(
        bench.change(TOPIC, &[(replicas, SET, long)]),
        ErrorCode::NONE
    );
    let mut ask = |count, key| {
        let resource = DescribeConfigsResource {
            resource_type: ResourceType::Topic as i8,
            resource_name: "t",
            configuration_keys: Some(vec![key]),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource; count],
            ..Default::default()
        };
        matches!(
            bench.ask(ApiKey::DescribeConfigs, 4, &request),
            Said::Answer(_)
        )
    };
    assert!(ask(1000, replicas));
    assert!(!ask(1100 * 2, replicas));
    assert!(ask(50_000, "none"));
}
