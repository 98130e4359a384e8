//! ListTransactions (66), versions 0-2: the transactional ids that pass all filters (KIP-664).
//!
//! * A state that does not exist passes nothing, and is named in `unknown_state_filters`; names are taken letter by
//!   letter.
//! * v1+ `duration_filter`: only what began longer ago than so many milliseconds; an id whose transaction has never
//!   begun began long ago. Negative is no filter.
//! * v2+ `transactional_id_pattern`: a regular expression for the whole id; one that does not parse is error 128. Null
//!   and empty are no filter. Look-around and references back, which Java knows, are refused, as is what compiles
//!   to more than 32 KiB: a pattern never takes longer than its size times the size of the ids.
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

/// What a compiled pattern may take. Every id is held against it while nobody else is served.
const MAX_PATTERN_BYTES: usize = 32 << 10;

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
    let told = |txn: &&Txn| filter.passes(txn);
    let found = candidates(transactions, &request.producer_id_filters);
    let transaction_states = found.into_iter().filter(told).map(state).collect();
    let unknown = |name: &&&str| !TxnState::has_name(name);
    let unknown_state_filters = request.state_filters.iter().filter(unknown);
    call.reply(&ListTransactionsResponse {
        unknown_state_filters: unknown_state_filters.copied().collect(),
        transaction_states,
        ..Default::default()
    })
}

/// Those of the producers that are asked for, or all.
fn candidates<'b>(transactions: &'b Transactions, producer_ids: &[i64]) -> Vec<&'b Txn> {
    if producer_ids.is_empty() {
        return transactions.iter().collect();
    }
    let producer_ids: BTreeSet<i64> = producer_ids.iter().copied().collect();
    let found = producer_ids.into_iter();
    found
        .filter_map(|id| transactions.of_producer(id))
        .collect()
}

fn state(txn: &Txn) -> TransactionState<'_> {
    TransactionState {
        transactional_id: &txn.id,
        producer_id: txn.standing.producer_id,
        transaction_state: txn.state().name(),
    }
}

/// What a transactional id must be, beside its producer.
struct Filter<'a> {
    states: &'a [&'a str],
    began_before_ms: Option<i64>,
    pattern: Option<Regex>,
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
            pattern: pattern.map(whole).transpose()?,
        })
    }

    fn passes(&self, txn: &Txn) -> bool {
        let is_in_state = self.states.is_empty() || self.states.contains(&txn.state().name());
        let began_ms = txn.standing.started_ms;
        is_in_state
            && self.began_before_ms.is_none_or(|before| began_ms < before)
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&txn.id))
    }
}

/// A pattern that has to match all of a text. It must be one by itself, too: "a)|(b" is none.
fn whole(pattern: &str) -> Result<Regex, ErrorCode> {
    let compile = |text: &str| {
        let built = RegexBuilder::new(text)
            .size_limit(MAX_PATTERN_BYTES)
            .build();
        built.map_err(|_| ErrorCode::INVALID_REGULAR_EXPRESSION)
    };
    compile(pattern)?;
    compile(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_whole_id_or_is_refused() {
        let matches = |pattern: &str, id: &str| whole(pattern).map(|regex| regex.is_match(id));
        assert_eq!(matches("a|ab", "ab"), Ok(true));
        assert_eq!(matches("a", "ab"), Ok(false));
        assert_eq!(matches("app-[0-9]+", "app-17"), Ok(true));
        assert_eq!(matches(".*", ""), Ok(true));
        let bad = Err(ErrorCode::INVALID_REGULAR_EXPRESSION);
        for pattern in ["(", "[a", "a)|(b", "*", "(?<=a)b", "(a{100}){1000}"] {
            assert_eq!(matches(pattern, "b"), bad, "{pattern}");
        }
    }
}
