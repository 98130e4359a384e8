//! Why a request, or a part of it, is not done: a code, and a reason in Kafka's words where it has some.

use crate::proto::error::ErrorCode;
use std::borrow::Cow;

/// What the reason of a refusal may take: it quotes what the client has sent, which may be longer than a text of an
/// answer.
const MOST_MESSAGE_BYTES: usize = 1024;

/// Why something is not done.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    /// `None` where Kafka leaves it to the client to explain the code.
    pub(super) message: Option<Cow<'static, str>>,
}

impl Refusal {
    /// The reason is cut where it is too long for an answer.
    pub(super) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Refusal {
        let mut message = message.into();
        if message.len() > MOST_MESSAGE_BYTES {
            let mut ends = (0..=MOST_MESSAGE_BYTES).rev();
            let end = ends.find(|&at| message.is_char_boundary(at));
            message = format!("{}...", &message[..end.unwrap_or(0)]).into();
        }
        Refusal {
            code,
            message: Some(message),
        }
    }

    /// The request is wrong.
    pub(super) fn invalid(why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(ErrorCode::INVALID_REQUEST, why)
    }

    /// A setting is wrong.
    pub(super) fn bad_setting(why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(ErrorCode::INVALID_CONFIG, why)
    }

    /// It is more than we take.
    pub(super) fn excessive(why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(ErrorCode::POLICY_VIOLATION, why)
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal {
            code,
            message: None,
        }
    }
}

/// The two fields of an answer that say whether something is done.
pub(super) fn parts(refusal: Option<Refusal>) -> (ErrorCode, Option<Cow<'static, str>>) {
    match refusal {
        Some(Refusal { code, message }) => (code, message),
        None => (ErrorCode::NONE, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_whole_character() {
        let refusal = |text: String| Refusal::invalid(text).message.map(Cow::into_owned);
        assert_eq!(refusal("short".to_owned()).as_deref(), Some("short"));
        let cut = refusal("ü€".repeat(9000)).expect("a message");
        assert!((1000..1030).contains(&cut.len()) && cut.ends_with("..."));
    }
}
