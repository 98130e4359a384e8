//! DeleteTopics (20): delete topics by name or, from version 6 on, by id.

use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;
use crate::proto::{Text, Uuid};

wire! {
    /// Delete these topics.
    struct DeleteTopicsRequest<'a> {
        topics:      Vec<DeleteTopicState<'a>> [6..],
        topic_names: Vec<&'a str>              [..=5],
        timeout_ms:  i32,
    }

    /// A topic by name, or by id with a null name.
    struct DeleteTopicState<'a> {
        name:     Option<&'a str>,
        topic_id: Uuid,
    }

    /// What became of each topic.
    struct DeleteTopicsResponse<'a> {
        throttle_time_ms: i32 [1..],
        responses:        Vec<DeletableTopicResult<'a>>,
    }

    /// One deleted topic, or why it was not.
    struct DeletableTopicResult<'a> {
        name:          Option<&'a str> = Some(""),
        topic_id:      Uuid             [6..],
        error_code:    ErrorCode,
        error_message: Option<Text<'a>> [5..],
    }
}
