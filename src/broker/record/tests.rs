//! Every record is read as it was written, and nothing else is.

use super::*;
use crate::broker::facts::{GenerationMember, TxnState};

fn committed(expire_timestamp_ms: Option<i64>) -> Committed {
    Committed {
        offset: 17,
        leader_epoch: -1,
        metadata: "where I was".into(),
        commit_timestamp_ms: 1_700_000_000_000,
        expire_timestamp_ms,
        order: expire_timestamp_ms.map_or(0, |_| i32::MAX),
    }
}

fn generation_of_two() -> Generation {
    let member = |id: &str, group_instance_id: Option<&str>| GenerationMember {
        member_id: id.into(),
        group_instance_id: group_instance_id.map(Into::into),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        metadata: [0, 1, 255].as_slice().into(),
        assignment: [].as_slice().into(),
    };
    Generation {
        id: 3,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        leader: Some("a".into()),
        since_ms: 1_700_000_000_000,
        members: vec![member("a", None), member("b", Some("one"))],
    }
}

const STARTED: Opened = Opened {
    boot: 3,
    leader_epoch: 1,
};

fn standing_of_an_end() -> Standing {
    Standing {
        producer_id: 1000,
        epoch: i16::MAX,
        previous_producer_id: 999,
        last_epoch: i16::MAX - 1,
        next_producer_id: 1001,
        timeout_ms: 60_000,
        state: TxnState::PrepareAbort,
        version: 2,
        started_ms: 1_700_000_000_000,
        updated_ms: 1_700_000_000_001,
    }
}

#[test]
fn the_keys_of_a_transaction_end_nowhere_but_at_their_end() {
    let at = PartitionId {
        topic: Uuid([7; 16]),
        partition: 5,
    };
    let keys = [part_key("tx", at), transaction_group_key("tx", "g")];
    for (key, whole) in keys.iter().zip([true, false]) {
        let bare = |end: usize| Change {
            key: &key[..end],
            value: None,
        };
        let shortest = if whole { key.len() } else { 5 };
        for end in 1..shortest {
            assert!(Record::decode(&bare(end)).is_err(), "{end}");
        }
        assert!(Record::decode(&bare(key.len())).is_ok());
    }
    let pending = pending_key(7, "", at);
    for end in 1..=pending.len() {
        let key = &pending[..end];
        let read = Record::decode(&Change { key, value: None });
        assert_eq!(read.is_ok(), end == pending.len(), "{end}");
    }
}

#[test]
fn every_record_of_a_transaction_is_read_as_it_was_written() {
    let at = PartitionId {
        topic: Uuid([7; 16]),
        partition: 5,
    };
    for record in [
        Record::PendingOffset {
            producer_id: 1000,
            group: "g".into(),
            at,
            committed: committed(Some(0)),
        },
        Record::PendingOffsetDone {
            producer_id: i64::MAX,
            group: "".into(),
            at,
        },
        Record::Transaction {
            id: "tx".into(),
            standing: standing_of_an_end(),
        },
        Record::TransactionExpired { id: "tx".into() },
        Record::TransactionPartition {
            id: "x".repeat(32_767).into(),
            at,
        },
        Record::TransactionPartitionDone { id: "".into(), at },
        Record::TransactionGroup {
            id: "tx".into(),
            group: "".into(),
        },
        Record::TransactionGroupDone {
            id: "tx".into(),
            group: "g".into(),
        },
    ] {
        assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
    }
}

#[test]
fn every_record_is_read_as_it_was_written() {
    let settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
    let id = Uuid([7; 16]);
    let at = PartitionId {
        topic: id,
        partition: 5,
    };
    for record in [
        Record::Opened(STARTED),
        Record::Topic {
            id,
            name: "telemetry".to_owned(),
            partition_count: 12,
            settings,
        },
        Record::TopicDeleted { id },
        Record::ProducerIds { next: 2000 },
        Record::Group {
            id: "g".into(),
            generation: generation_of_two(),
        },
        Record::GroupDeleted { id: "g".into() },
        Record::Offset {
            group: "".into(),
            at,
            committed: committed(None),
        },
        Record::Offset {
            group: "g".into(),
            at,
            committed: committed(Some(0)),
        },
        Record::OffsetForgotten {
            group: "g".into(),
            at,
        },
        Record::Features {
            levels: BTreeMap::from([("transaction.version".to_owned(), 1)]),
            changes: 3,
        },
    ] {
        assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
    }
}

#[test]
fn a_record_that_ends_early_or_is_unknown_is_refused() {
    let whole = Record::Opened(STARTED).encode();
    let value = whole.value.as_deref().unwrap();
    for end in 0..value.len() {
        assert!(
            Record::decode(&Change {
                key: &[OPENED],
                value: Some(&value[..end])
            })
            .is_err()
        );
    }
    assert!(
        Record::decode(&Change {
            key: &[200],
            value: Some(value)
        })
        .is_err()
    );
    assert!(
        Record::decode(&Change {
            key: &[],
            value: None
        })
        .is_err()
    );
    let newer = [&[0, 9], &value[2..]].concat();
    assert!(
        Record::decode(&Change {
            key: &[OPENED],
            value: Some(&newer)
        })
        .is_err()
    );
}
