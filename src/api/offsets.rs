//! What is checked of offsets alike, whether they are committed at once or in a transaction.

use crate::broker::Broker;
use crate::proto::error::ErrorCode;

/// Whether all that would be kept fits a batch, about: each partition with the group's id and its text.
pub(super) fn check_size<'a>(
    broker: &Broker,
    group_id: &str,
    texts: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), ErrorCode> {
    const NUMBERS: usize = 40;
    let bytes: usize = texts
        .map(|text| group_id.len() + text.map_or(0, str::len) + NUMBERS)
        .sum();
    match bytes <= broker.config().message_max_bytes {
        true => Ok(()),
        false => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

/// Kafka counts the text in UTF-16 units.
pub(super) fn check_metadata(broker: &Broker, text: Option<&str>) -> Result<(), ErrorCode> {
    let text = text.unwrap_or_default();
    let limit = i64::from(broker.config().offset_metadata_max_bytes);
    match i64::try_from(text.encode_utf16().count()) {
        Ok(length) if length <= limit => Ok(()),
        _ => Err(ErrorCode::OFFSET_METADATA_TOO_LARGE),
    }
}
