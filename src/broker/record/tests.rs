//! Every record is read as it was written, and nothing else is.

use super::*;
use crate::broker::facts::{GenerationMember, Producer, Standing, TxnState, TxnVersion};
use crate::broker::settings::ResourceType;

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
        producer: Producer {
            id: 1000,
            epoch: i16::MAX,
        },
        previous_producer_id: Some(999),
        last_epoch: Some(i16::MAX - 1),
        next_producer_id: Some(1001),
        timeout_ms: 60_000,
        state: TxnState::PrepareAbort,
        version: TxnVersion::V2,
        started_ms: Some(1_700_000_000_000),
        updated_ms: 1_700_000_000_001,
    }
}

fn standing_of_a_beginning() -> Standing {
    Standing {
        previous_producer_id: None,
        last_epoch: None,
        next_producer_id: None,
        state: TxnState::Empty,
        version: TxnVersion::V1,
        started_ms: None,
        ..standing_of_an_end()
    }
}

#[test]
fn the_keys_of_a_transaction_end_nowhere_but_at_their_end() {
    let at = PartitionId {
        topic: Uuid([7; 16]),
        partition: 5,
    };
    let keys = [
        transaction_partition_key(7, at),
        transaction_group_key(7, ""),
        pending_key(7, "", at),
    ];
    for whole in keys {
        for end in 1..=whole.len() {
            let key = &whole[..end];
            let read = Record::decode(&Change { key, value: None });
            assert_eq!(read.is_ok(), end == whole.len(), "{end}");
        }
    }
}

#[test]
fn every_record_of_a_transaction_is_read_as_it_was_written() {
    let at = PartitionId {
        topic: Uuid([7; 16]),
        partition: 5,
    };
    let of = |id: &str, fact| Record::Transaction {
        id: id.into(),
        fact,
    };
    let touched = |producer_id, touch| Record::Touched { producer_id, touch };
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
        of("tx", TxnFact::Stands(standing_of_an_end())),
        of("tx", TxnFact::Stands(standing_of_a_beginning())),
        of("tx", TxnFact::Expired),
        of(&"x".repeat(32_767), TxnFact::Expired),
        touched(7, TxnTouch::Partition(at)),
        touched(i64::MAX, TxnTouch::PartitionDone(at)),
        touched(7, TxnTouch::Group("".into())),
        touched(7, TxnTouch::GroupDone("g".into())),
    ] {
        assert_eq!(Record::decode(&record.encode().change()), Ok(Some(record)));
    }
}

#[test]
fn every_record_is_read_as_it_was_written() {
    let settings = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
    let kept = |kind, name, values: &BTreeMap<_, _>| Record::Settings {
        resource: Resource::new(kind, name),
        values: values.clone(),
    };
    let id = Uuid([7; 16]);
    let at = PartitionId {
        topic: id,
        partition: 5,
    };
    for record in [
        kept(ResourceType::Broker, "", &settings),
        kept(ResourceType::Group, "g", &settings),
        kept(ResourceType::ClientMetrics, "m", &Values::new()),
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
