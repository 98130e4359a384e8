//! ListTransactions (66), versions 0-2: the transactional ids that pass all filters (KIP-664).
//!
//! * A state that does not exist passes nothing, and is named in `unknown_state_filters`; names are taken letter by
//!   letter.
//! * v1+ `duration_filter`: only what began longer ago than so many milliseconds; an id whose transaction has never
//!   begun began long ago. Negative is no filter.
//! * v2+ `transactional_id_pattern`: a regular expression for the whole id; one that does not parse is error 128, as
//!   is one with classes of Unicode (`\p`), which Java's RE2 knows. Null and empty are no filter. All ids are held
//!   against it while nobody else is served, and that takes its compiled size times the bytes of the ids that begin as
//!   it does: what is more than [`MAX_WORK_BYTES`], or compiles to more than 32 KiB, is 128, too.
//! * Soon after a start the answer is error 14.

use super::Call;
use crate::broker::Broker;
use crate::broker::facts::TxnState;
use crate::broker::txns::{Transactions, Txn};
use crate::broker::wait::Outcome;
use crate::proto::error::ErrorCode;
use crate::proto::schema::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, TransactionState,
};
use regex_lite::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// What a compiled pattern may take, in steps: it is compiled within the first that suffices.
const PATTERN_BYTES: [usize; 4] = [512, 2 << 10, 8 << 10, 32 << 10];
/// Compiled size times bytes of ids: about a tenth of a second.
const MAX_WORK_BYTES: usize = 256 << 20;

/// When the transaction of an id that never had one began.
const NEVER_BEGUN_MS: i64 = -1;
/// States that clients may ask for, and that nothing is ever in here.
const UNUSED_STATES: [&str; 2] = ["Dead", "PrepareEpochFence"];

pub(super) fn handle(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    request: ListTransactionsRequest<'_>,
) -> Outcome {
    let transactions = broker.transactions();
    let now_ms = call.cx.now.wall_ms;
    let filter = broker
        .check_transactions()
        .and_then(|()| Filter::new(&request, now_ms));
    let filter = match filter {
        Ok(filter) => filter,
        Err(error_code) => {
            return call.reply(&ListTransactionsResponse {
                error_code,
                ..Default::default()
            });
        }
    };
    call.after(transactions.newest_round());
    let mut found = candidates(transactions, &request.producer_id_filters);
    found.retain(|txn| filter.passes(txn));
    let matched = filter
        .pattern
        .map_or(Ok(()), |pattern| pattern.retain(&mut found));
    let unknown = |name: &&&str| !is_known(name);
    let unknown_state_filters = request.state_filters.iter().filter(unknown);
    call.reply(&ListTransactionsResponse {
        error_code: matched.err().unwrap_or(ErrorCode::NONE),
        unknown_state_filters: unknown_state_filters.copied().collect(),
        transaction_states: found.into_iter().map(state).collect(),
        ..Default::default()
    })
}

/// Whether Kafka has a state of that name.
fn is_known(name: &str) -> bool {
    UNUSED_STATES.contains(&name) || TxnState::names().any(|known| known == name)
}

/// Those of the producers that are asked for, or all.
fn candidates<'b>(transactions: &'b Transactions, producer_ids: &[i64]) -> Vec<&'b Txn> {
    if producer_ids.is_empty() {
        return transactions.iter().collect();
    }
    let producer_ids: BTreeSet<i64> = producer_ids.iter().copied().collect();
    let found = producer_ids.into_iter();
    let has = |id: i64| move |txn: &&Txn| txn.standing.producer.id == id;
    found
        .filter_map(|id| transactions.of_producer(id).filter(has(id)))
        .collect()
}

fn state(txn: &Txn) -> TransactionState<'_> {
    TransactionState {
        transactional_id: &txn.id,
        producer_id: txn.standing.producer.id,
        transaction_state: txn.state().name(),
    }
}

/// What a transactional id must be, beside its producer.
struct Filter<'a> {
    states: &'a [&'a str],
    began_before_ms: Option<i64>,
    pattern: Option<Pattern>,
}

impl<'a> Filter<'a> {
    fn new(request: &'a ListTransactionsRequest<'_>, now_ms: i64) -> Result<Filter<'a>, ErrorCode> {
        let pattern = request
            .transactional_id_pattern
            .filter(|text| !text.is_empty());
        let duration_ms = request.duration_filter;
        Ok(Filter {
            states: &request.state_filters,
            began_before_ms: (duration_ms >= 0).then(|| now_ms.saturating_sub(duration_ms)),
            pattern: pattern.map(Pattern::new).transpose()?,
        })
    }

    /// Whether it passes all but the pattern.
    fn passes(&self, txn: &Txn) -> bool {
        let is_in_state = self.states.is_empty() || self.states.contains(&txn.state().name());
        let began_ms = txn.standing.started_ms;
        is_in_state
            && self
                .began_before_ms
                .is_none_or(|before| began_ms.unwrap_or(NEVER_BEGUN_MS) < before)
    }
}

/// A pattern that has to match all of an id.
struct Pattern {
    regex: Regex,
    /// What it takes, at most.
    size_bytes: usize,
    /// What every id that matches begins with.
    prefix: String,
}

impl Pattern {
    /// It must be a pattern by itself, too: "a)|(b" is none.
    fn new(text: &str) -> Result<Pattern, ErrorCode> {
        let text = without_quotes(text);
        let whole = format!("^(?:{text})$");
        let compiled = |size_bytes: usize| {
            let compile = |text| RegexBuilder::new(text).size_limit(size_bytes).build();
            compile(&text).ok()?;
            let regex = compile(&whole).ok()?;
            let prefix = literal_prefix(&text).to_owned();
            Some(Pattern {
                regex,
                size_bytes,
                prefix,
            })
        };
        let compiled = PATTERN_BYTES.into_iter().find_map(compiled);
        compiled.ok_or(ErrorCode::INVALID_REGULAR_EXPRESSION)
    }

    /// Leaves those whose ids match.
    fn retain(&self, found: &mut Vec<&Txn>) -> Result<(), ErrorCode> {
        found.retain(|txn| txn.id.starts_with(&self.prefix));
        let ids_bytes: usize = found.iter().map(|txn| txn.id.len()).sum();
        if ids_bytes.saturating_mul(self.size_bytes) > MAX_WORK_BYTES {
            found.clear();
            return Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
        }
        found.retain(|txn| self.regex.is_match(&txn.id));
        Ok(())
    }
}

/// The beginning of a pattern in which every character stands for itself.
fn literal_prefix(pattern: &str) -> &str {
    let special = |char: char| r"\.+*?()|[]{}^$".contains(char);
    let (literal, rest) = pattern.split_at(pattern.find(special).unwrap_or(pattern.len()));
    if pattern.contains('|') {
        return "";
    }
    match rest.starts_with(['*', '?', '{']) {
        true => literal
            .char_indices()
            .next_back()
            .map_or("", |(last, _)| &literal[..last]),
        false => literal,
    }
}

/// The same pattern without `\Q...\E`, between which nothing has a meaning of its own (Java's `Pattern.quote`).
fn without_quotes(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (quoted, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex_lite::escape(quoted));
            rest = behind;
        } else {
            let escaped = escape.chars().take(2).map(char::len_utf8).sum();
            let (escape, behind) = escape.split_at(escaped);
            plain.push_str(escape);
            rest = behind;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_all_states_of_kafka_are_known_letter_by_letter() {
        assert!(["Dead", "PrepareEpochFence", "Empty", "CompleteAbort"].map(is_known) == [true; 4]);
        assert!(!is_known("empty") && !is_known(""));
    }

    #[test]
    fn a_pattern_matches_a_whole_id_or_is_refused() {
        let matches =
            |pattern: &str, id: &str| Pattern::new(pattern).map(|known| known.regex.is_match(id));
        assert_eq!(matches("a|ab", "ab"), Ok(true));
        assert_eq!(matches("a", "ab"), Ok(false));
        assert_eq!(matches("app-[0-9]+", "app-17"), Ok(true));
        assert_eq!(matches(".*", ""), Ok(true));
        let bad = Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
        for pattern in ["(", "[a", "a)|(b", "*", "(?<=a)b", "\\", "(a{100}){1000}"] {
            assert_eq!(matches(pattern, "b"), bad, "{pattern}");
        }
    }

    #[test]
    fn what_is_quoted_has_no_meaning() {
        for (pattern, plain) in [
            ("a.b", "a.b"),
            (r"\Qa.b\E.", r"a\.b."),
            (r"\\Qa.b", r"\\Qa.b"),
            (r"a\Q(\\", r"a\(\\\\"),
            (r"\d\Q\E+\", r"\d+\"),
        ] {
            assert_eq!(without_quotes(pattern), plain, "{pattern}");
        }
    }

    #[test]
    fn only_ids_that_begin_as_a_pattern_does_are_held_against_it() {
        for (pattern, prefix) in [
            ("app-1", "app-1"),
            ("app-.*", "app-"),
            ("appé*", "app"),
            ("app+", "app"),
            ("app{0}", "ap"),
            ("app|other", ""),
            ("(?i)app", ""),
            ("^app", ""),
            (r"a\.b", "a"),
        ] {
            assert_eq!(literal_prefix(pattern), prefix, "{pattern}");
        }
    }

    #[test]
    fn ordinary_patterns_are_small() {
        for pattern in ["app-.*", "orders-[0-9]+", "(a|b|c).*-v2"] {
            let size_bytes = Pattern::new(pattern).map(|known| known.size_bytes);
            assert!(size_bytes.is_ok_and(|bytes| bytes <= 2 << 10), "{pattern}");
        }
    }
}
