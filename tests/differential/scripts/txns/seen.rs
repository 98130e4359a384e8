//! What admin clients see: DescribeTransactions, ListTransactions and DescribeProducers.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::describe_producers::{DescribeProducersRequest, TopicRequest};
use chronikd::proto::schema::list_transactions::ListTransactionsRequest;

use crate::asks::keep;
use crate::run::{Conn, Run};
use crate::scripts::kit::{Topic, named_topic, topic};
use crate::scripts::txns::producer::{OLD_END, Producer, describe};

/// Producers in every state that lasts: empty, ongoing, committed, aborted.
fn in_every_state(run: &mut Run<'_>, conn: Conn) -> [Producer; 4] {
    let one = topic(run, conn, 3, &[]);
    let other = run.name("other");
    let other = named_topic(run, conn, other, 1, &[]);
    let mut producers =
        ["empty", "ongoing", "committed", "aborted"].map(|it| Producer::begins(run, conn, it));
    for producer in &producers[1..] {
        producer.adds(run, &one, &[2, 0]);
        producer.adds(run, &other, &[0]);
    }
    producers[2].ends_at(run, OLD_END, true);
    producers[3].ends_at(run, OLD_END, false);
    producers
}

pub(crate) fn described(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let names = in_every_state(run, conn).map(|producer| producer.name);
    let [empty, ongoing, ..] = names;
    let long = keep::<str>("x".repeat(32_000));
    for asked in [
        &names[..],
        &[],
        &["absent"],
        &[""],
        &[ongoing, "absent", "", ongoing, empty],
        &[long],
    ] {
        run.ask(conn, describe(asked));
    }
}

pub(crate) fn listed(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let all = in_every_state(run, conn);
    let lists = |run: &mut Run<'_>, edit: &dyn Fn(&mut ListTransactionsRequest<'static>)| {
        run.ask_each(conn, |side| {
            let mut request = ListTransactionsRequest {
                producer_id_filters: all.map(|it| it.id[side]).to_vec(),
                ..ListTransactionsRequest::default()
            };
            edit(&mut request);
            request
        });
    };
    lists(run, &|_| ());
    lists(run, &|it| it.producer_id_filters.truncate(2));
    lists(run, &|it| it.producer_id_filters.push(987_654_321));
    lists(run, &|it| it.producer_id_filters = vec![987_654_321]);
    for states in [
        &["Empty"][..],
        &["Ongoing", "CompleteAbort"],
        &["CompleteCommit", "Imaginary"],
        &["Imaginary", "", "empty"],
        &["PrepareCommit", "PrepareAbort", "Dead", "PrepareEpochFence"],
    ] {
        lists(run, &|it| it.state_filters = states.to_vec());
    }
    let version = run.version(ApiKey::ListTransactions);
    if version >= 1 {
        for duration in [-1, -7, 0, 1, 600_000, i64::MAX] {
            lists(run, &|it| it.duration_filter = duration);
        }
    }
    if version >= 2 {
        for pattern in [
            Some(""),
            None,
            Some("empty-.*"),
            Some("empty"),
            Some("(on|aborted).*\\d"),
            Some("(?i)EMPTY.*"),
            Some("("),
            Some("*"),
            Some("[a-"),
        ] {
            lists(run, &|it| it.transactional_id_pattern = pattern);
        }
        let own = all[1].name;
        lists(run, &|it| {
            it.producer_id_filters.clear();
            it.transactional_id_pattern = Some(own);
        });
    }
}

/// Compares what partition 0 knows of producers.
pub(crate) fn producers(run: &mut Run<'_>, conn: Conn, topic: &Topic) {
    let asked = TopicRequest {
        name: topic.name,
        partition_indexes: vec![0],
    };
    let topics = vec![asked];
    run.ask(conn, DescribeProducersRequest { topics });
}

pub(crate) fn writers(run: &mut Run<'_>) {
    let conn = run.connect("admin");
    let topic = topic(run, conn, 1, &[]);
    let mut producer = Producer::begins(run, conn, "producer");
    for (sequence, committed) in [(0, true), (2, false)] {
        producer.adds(run, &topic, &[0]);
        producers(run, conn, &topic);
        producer.writes(run, &topic, 0, sequence);
        producers(run, conn, &topic);
        producer.ends_at(run, OLD_END, committed);
        producers(run, conn, &topic);
    }
    if run.range(ApiKey::EndTxn).1 > OLD_END {
        let newest = run.range(ApiKey::Produce).1;
        run.ask_each_at(newest, conn, |side| producer.records(side, &topic, 0, 4));
        producers(run, conn, &topic);
        producer.ends_at(run, 5, false);
        producers(run, conn, &topic);
        producer.ends_at(run, 5, false);
        producers(run, conn, &topic);
        run.ask_each_at(newest, conn, |side| producer.records(side, &topic, 0, 0));
        producers(run, conn, &topic);
    }
}
