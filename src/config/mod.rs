//! Broker and topic settings: one table, and typed views of it for the rooms that obey them.

/// Which time a record carries (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at append.
    LogAppendTime,
}

/// The settings of one topic as its logs obey them: the topic's own where set, else the broker's.
/// Sizes are bytes, spans milliseconds; the names are Kafka's topic settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is closed at this age (by record time).
    pub segment_ms: i64,
    /// `segment.jitter.ms`: taken off `segment_ms` at random.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`: one index entry for so many bytes of log.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: the largest index file; a full one closes the segment.
    pub segment_index_bytes: u32,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: u32,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `flush.messages`: 1 means that an acknowledgement waits for the disk.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
}
