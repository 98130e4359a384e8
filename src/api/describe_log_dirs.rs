//! DescribeLogDirs (35), versions 0-5: how large partitions are, and the file system that holds them.
//!
//! * There is one log directory, the data directory. It has all partitions for null topics, else those that are named
//!   and there; unknown and damaged ones are left out. The request waits while one is being loaded.
//! * A size is that of the segments without their indexes, as in Kafka, and counts what is written, durable or not. The
//!   lag is 0, and no partition is about to move here (`is_future_key`).
//! * v4+ has the bytes of the file system, and those that we may still write. Where it does not tell, the directory has
//!   error 56 and nothing else.
//! * v5+ says whether new partitions are kept out of the directory: never.

use super::{Call, LOADING_TIMEOUT_MS};
use crate::broker::Broker;
use crate::broker::topics::Topic;
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::storage::PartitionId;
use std::collections::BTreeSet;

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: DescribeLogDirsRequest<'_>,
) -> Outcome {
    let wanted = match &request.topics {
        Some(topics) => named(broker, topics),
        None => broker.topics().iter().flat_map(Topic::partitions).collect(),
    };
    let loading = broker.loading_of(wanted.iter().copied());
    if let Some(wait) = call.wait_for_loading(loading, LOADING_TIMEOUT_MS) {
        return wait;
    }
    let log_dir = broker.storage.dir();
    let mut result = DescribeLogDirsResult {
        log_dir: &log_dir,
        ..Default::default()
    };
    match broker.storage.space() {
        Ok(space) => {
            result.total_bytes = bytes(space.total_bytes);
            result.usable_bytes = bytes(space.free_bytes);
            result.topics = topics(broker, &wanted);
        }
        Err(error) => {
            let what =
                format_args!("the file system of the data directory is not described: {error}");
            broker.complain(call.cx.now.mono, what);
            result.error_code = ErrorCode::KAFKA_STORAGE_ERROR;
        }
    }
    call.reply(&DescribeLogDirsResponse {
        results: vec![result],
        ..Default::default()
    })
}

/// Those of the named partitions that there are, once each.
fn named(broker: &Broker, topics: &[DescribableLogDirTopic<'_>]) -> BTreeSet<PartitionId> {
    let of_one = |asked: &DescribableLogDirTopic<'_>| {
        let topic = broker.topics().by_name(asked.topic);
        let numbers = asked.partitions.iter();
        let ids = numbers.filter_map(|&number| topic?.partition(number));
        ids.collect::<BTreeSet<_>>()
    };
    topics.iter().flat_map(of_one).collect()
}

/// The topics that have one of the partitions, in the order of their names.
fn topics<'b>(broker: &'b Broker, wanted: &BTreeSet<PartitionId>) -> Vec<DescribeLogDirsTopic<'b>> {
    let size = |id: PartitionId| {
        let log = broker.storage.log(id).ok()?;
        Some(DescribeLogDirsPartition {
            partition_index: id.partition,
            partition_size: bytes(log.size_bytes()),
            ..Default::default()
        })
    };
    let all = broker.topics().iter().map(|topic| {
        let ids = topic.partitions().filter(|id| wanted.contains(id));
        DescribeLogDirsTopic {
            name: &topic.name,
            partitions: ids.filter_map(size).collect(),
        }
    });
    all.filter(|topic| !topic.partitions.is_empty()).collect()
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
