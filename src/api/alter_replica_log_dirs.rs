//! AlterReplicaLogDirs (34), versions 0-2: move partitions to other log directories of this broker.
//!
//! * There is one, the data directory by its absolute path: whatever shall lie there does, without an error. Every
//!   other path is error 57.
//! * An unknown partition is error 3 and one that is not served for its damage 56, where the path is ours.
//! * Of two paths for one partition the last counts. Each partition is answered once.

use super::Call;
use super::common::Allowance;
use crate::broker::Broker;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use crate::storage::Unavailable;
use std::collections::BTreeMap;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: AlterReplicaLogDirsRequest<'_>,
) -> Outcome {
    let mut allowance = Allowance::new();
    let mut paths: BTreeMap<&str, BTreeMap<i32, &str>> = BTreeMap::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            if let Err(outcome) = allowance.take::<(i32, &str)>(topic.partitions.len()) {
                return outcome;
            }
            let numbers = topic.partitions.iter();
            let of_topic = numbers.map(|&number| (number, dir.path));
            paths.entry(topic.name).or_default().extend(of_topic);
        }
    }
    let ours = broker.storage.dir();
    let partition =
        |topic, (&partition_index, &path): (&i32, &&str)| AlterReplicaLogDirPartitionResult {
            partition_index,
            error_code: match path == ours {
                true => code(broker, topic, partition_index),
                false => ErrorCode::LOG_DIR_NOT_FOUND,
            },
        };
    let asked = paths.iter().filter(|(_, of_topic)| !of_topic.is_empty());
    let results = asked.map(|(&topic_name, of_topic)| AlterReplicaLogDirTopicResult {
        topic_name,
        partitions: of_topic
            .iter()
            .map(|it| partition(topic_name, it))
            .collect(),
    });
    call.reply(&AlterReplicaLogDirsResponse {
        results: results.collect(),
        ..Default::default()
    })
}

/// What is answered for a partition that shall lie where all do.
fn code(broker: &Broker, topic: &str, partition: i32) -> ErrorCode {
    match broker.log(topic, partition) {
        Ok(_) | Err(Unavailable::Loading) => ErrorCode::NONE,
        Err(why) => why.code(),
    }
}
