//! More partitions for a topic: what is refused, what lasts, and what a kill or a full disk leaves of it.

use super::*;
use crate::proto::schema::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic, CreatePartitionsTopicResult,
};

/// The code and the message.
type Result = (ErrorCode, String);

const DONE: (ErrorCode, &str) = (ErrorCode::NONE, "");

impl Bench {
    fn grow_all(
        &mut self,
        topics: Vec<CreatePartitionsTopic<'_>>,
        validate_only: bool,
    ) -> Vec<Result> {
        let request = CreatePartitionsRequest {
            topics,
            validate_only,
            ..Default::default()
        };
        let body = self.ask(ApiKey::CreatePartitions, 3, &request).answer();
        let answer: CreatePartitionsResponse<'_> =
            proto::decode(&body, 3, true).expect("a response");
        let result = |it: &CreatePartitionsTopicResult<'_>| {
            let message = it.error_message.as_deref().unwrap_or_default();
            (it.error_code, message.to_owned())
        };
        answer.results.iter().map(result).collect()
    }

    fn grow(&mut self, count: i32) -> Result {
        self.grow_all(vec![wish("t", count, None)], false).remove(0)
    }

    /// How many partitions `t` has, and the directories that have its name.
    fn partitions(&self) -> (i32, Vec<String>) {
        let topic = self.broker.topics().by_name("t").expect("it is there");
        let entries = self.disk.list(Path::new(ROOT)).expect("a listing");
        let names = entries.into_iter().map(|entry| entry.name);
        (
            topic.partition_count,
            names.filter(|name| name.starts_with("t-")).collect(),
        )
    }
}

fn wish<'a>(name: &'a str, count: i32, brokers: Option<&[&[i32]]>) -> CreatePartitionsTopic<'a> {
    let assignment = |ids: &&[i32]| CreatePartitionsAssignment {
        broker_ids: ids.to_vec(),
    };
    CreatePartitionsTopic {
        name,
        count,
        assignments: brokers.map(|brokers| brokers.iter().map(assignment).collect()),
    }
}

fn is((code, message): &Result, expected: (ErrorCode, &str)) {
    assert_eq!((*code, message.as_str()), expected);
}

#[test]
fn a_topic_has_more_partitions_at_once_and_for_every_start_to_come() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    is(&bench.grow(3), DONE);
    assert!(bench.round > bench.broker.synced_round());
    assert_eq!(produced(&bench.produce(2).answer()), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    bench.run();
    let dirs = vec!["t-2".to_owned()];
    assert_eq!(bench.partitions(), (3, dirs), "one was appended to");
    let at = bench.broker.find("t", 2).expect("it is there");
    assert_eq!(bench.broker.storage.log(at).expect("a log").log_end(), 1);
}

#[test]
fn only_an_increase_with_fitting_assignments_is_taken() {
    let mut bench = Bench::new();
    bench.create(topic(2));
    bench.run();
    let (invalid, assignment) = (
        ErrorCode::INVALID_PARTITIONS,
        ErrorCode::INVALID_REPLICA_ASSIGNMENT,
    );
    let [none, stranger, twice] = [
        "an empty replica list.",
        "broker 9, but no such broker is registered.",
        "the broker 1 more than once.",
    ]
    .map(|what| format!("The manual partition assignment includes {what}"));
    let cases: [(CreatePartitionsTopic<'_>, (ErrorCode, &str)); 8] = [
        (
            wish("u", 3, None),
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ""),
        ),
        (
            wish("t", 2, None),
            (invalid, "Topic already has 2 partition(s)."),
        ),
        (
            wish("t", 1, None),
            (
                invalid,
                "The topic t currently has 2 partition(s); 1 would not be an increase.",
            ),
        ),
        (
            wish("t", 4, Some(&[&[1]])),
            (
                assignment,
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
            ),
        ),
        (wish("t", 3, Some(&[&[]])), (assignment, &none)),
        (wish("t", 4, Some(&[&[1], &[9]])), (assignment, &stranger)),
        (wish("t", 3, Some(&[&[1, 1]])), (assignment, &twice)),
        (
            wish("t", i32::MAX, None),
            (
                ErrorCode::POLICY_VIOLATION,
                "Excessively large number of partitions per request.",
            ),
        ),
    ];
    for (case, expected) in cases {
        is(&bench.grow_all(vec![case], false)[0], expected);
    }
    let both = vec![wish("t", 3, None), wish("t", 4, None)];
    let results = bench.grow_all(both, false);
    assert_eq!(results.len(), 1);
    is(
        &results[0],
        (ErrorCode::INVALID_REQUEST, "Duplicate topic name."),
    );
    is(&bench.grow_all(vec![wish("t", 3, None)], true)[0], DONE);
    assert_eq!(bench.partitions().0, 2);
    is(
        &bench.grow_all(vec![wish("t", 4, Some(&[&[1], &[1]]))], false)[0],
        DONE,
    );
    assert_eq!(bench.partitions().0, 4);
}

#[test]
fn partitions_whose_record_was_lost_are_gone_and_may_be_asked_for_again() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    is(&bench.grow(3), DONE);
    assert_eq!(produced(&bench.produce(2).answer()), ErrorCode::NONE);
    // Nothing of this turn was journaled.
    let mut bench = bench.restart();
    assert_eq!(bench.partitions(), (1, Vec::new()));
    bench.run();
    is(&bench.grow(2), DONE);
    assert_eq!(produced(&bench.produce(1).answer()), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    bench.run();
    let at = bench.broker.find("t", 1).expect("it is there");
    assert_eq!(bench.broker.storage.log(at).expect("a log").log_end(), 1);
}

#[test]
fn partitions_need_room_on_the_disk_when_they_get_records() {
    let mut bench = Bench::new();
    bench.create(topic(1));
    bench.run();
    bench.disk.set_capacity(Some(0));
    is(&bench.grow(2000), DONE);
    bench.run();
    let refused = produced(&bench.produce(1999).answer());
    assert_eq!(refused, ErrorCode::KAFKA_STORAGE_ERROR);
    bench.disk.set_capacity(None);
    assert_eq!(produced(&bench.produce(7).answer()), ErrorCode::NONE);
    bench.run();
    let mut bench = bench.restart();
    bench.run();
    assert_eq!(produced(&bench.produce(1999).answer()), ErrorCode::NONE);
    let dirs = ["t-1999", "t-7"].map(str::to_owned).to_vec();
    assert_eq!(bench.partitions(), (2000, dirs));
}
