//! CreatePartitions (37): give topics more partitions (KIP-195).

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Give these topics more partitions, or only check whether it could be done.
    struct CreatePartitionsRequest<'a> {
        topics:        Vec<CreatePartitionsTopic<'a>>,
        timeout_ms:    i32,
        validate_only: bool,
    }

    /// A topic and how many partitions it is to have in all. Null assignments leave their places to the broker.
    struct CreatePartitionsTopic<'a> {
        name:        &'a str,
        count:       i32,
        assignments: Option<Vec<CreatePartitionsAssignment>>,
    }

    /// The brokers that are to hold one new partition.
    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    /// What became of each topic.
    struct CreatePartitionsResponse<'a> {
        throttle_time_ms: i32,
        results:          Vec<CreatePartitionsTopicResult<'a>>,
    }

    /// A topic, and why it has no more partitions than before.
    struct CreatePartitionsTopicResult<'a> {
        name:          &'a str,
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
    }
}
