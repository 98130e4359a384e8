//! CreateTopics (19): create topics by count or by explicit assignment of replicas.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Text, Uuid};

wire! {
    /// Create these topics, or only check whether it could be done.
    struct CreateTopicsRequest<'a> {
        topics:        Vec<CreatableTopic<'a>>,
        timeout_ms:    i32 = 60000,
        validate_only: bool [1..],
    }

    /// A new topic. With assignments, both counts are -1; otherwise -1 means the broker's default.
    struct CreatableTopic<'a> {
        name:               &'a str,
        num_partitions:     i32,
        replication_factor: i16,
        assignments:        Vec<CreatableReplicaAssignment>,
        configs:            Vec<CreatableTopicConfig<'a>>,
    }

    /// The brokers that are to hold one partition.
    struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids:      Vec<i32>,
    }

    /// A setting of the new topic; null means the default.
    struct CreatableTopicConfig<'a> {
        name:  &'a str,
        value: Option<&'a str>,
    }

    /// What became of each topic.
    struct CreateTopicsResponse<'a> {
        throttle_time_ms: i32 [2..],
        topics:           Vec<CreatableTopicResult<'a>>,
    }

    /// The new topic, or why there is none. `configs` is null, with its error in the tag, for who may not read them.
    struct CreatableTopicResult<'a> {
        name:               &'a str,
        topic_id:           Uuid                                   [7..],
        error_code:         ErrorCode,
        error_message:      Option<Text<'a>>                       [1..],
        num_partitions:     i32                                    [5..] = -1,
        replication_factor: i16                                    [5..] = -1,
        configs:            Option<Vec<CreatableTopicConfigs<'a>>> [5..],
        ;
        0 => topic_config_error_code: ErrorCode [5..],
    }

    /// A setting as it is in force, and where it comes from.
    struct CreatableTopicConfigs<'a> {
        name:          &'a str,
        value:         Option<Text<'a>>,
        read_only:     bool,
        config_source: i8 = -1,
        is_sensitive:  bool,
    }
}
