//! Transactions that have had their time.

use chronikd::proto::schema::init_producer_id::InitProducerIdRequest;
use chronikd::proto::schema::list_transactions::ListTransactionsRequest;

use crate::run::Run;
use crate::scripts::kit::{Topic, topic};
use crate::scripts::txns::producer::{Producer, describe, init};
use crate::scripts::txns::seen;

/// Time enough to open a transaction, on a busy machine too.
const SHORT_MS: i32 = 2000;

pub(crate) fn expires(run: &mut Run<'_>) {
    let conn = run.connect("producer");
    let topic = topic(run, conn, 2, &[]);
    let [idle, late, again] = ["idle", "late", "again"].map(|what| {
        let name = run.name(what);
        let given = run.ask_at(4, conn, short(name));
        Producer::given(conn, name, &given)
    });
    late.opens(run, &topic, 0, 0);
    again.opens(run, &topic, 1, 0);
    for producer in [late, again] {
        expired(run, &producer);
    }
    shown(run, &[idle, late, again], &topic);
    // One goes on as if nothing had been, the other asks for its next epoch.
    for committed in [true, false] {
        late.later(0).ends(run, committed);
    }
    late.opens(run, &topic, 0, 2);
    late.adds_group(run, "group");
    let given = run.ask_each_at(4, conn, |side| InitProducerIdRequest {
        producer_id: again.id[side],
        producer_epoch: again.epoch,
        ..init(again.name)
    });
    let mut next = Producer::given(conn, again.name, &given);
    next.opens(run, &topic, 1, 0);
    next.ends(run, true);
    // What has not begun takes no time.
    let given = run.ask_at(4, conn, init(late.name));
    let mut next = Producer::given(conn, late.name, &given);
    next.opens(run, &topic, 0, 0);
    next.ends(run, true);
    shown(run, &[idle, late, again], &topic);
}

fn short(name: &'static str) -> InitProducerIdRequest<'static> {
    InitProducerIdRequest {
        transaction_timeout_ms: SHORT_MS,
        ..init(name)
    }
}

/// Waits until the broker has ended it.
fn expired(run: &mut Run<'_>, producer: &Producer) {
    let make = |_| describe(&[producer.name]);
    run.settle(0, producer.conn, make, |answer| {
        answer.transaction_states[0].transaction_state == "CompleteAbort"
    });
}

fn shown(run: &mut Run<'_>, producers: &[Producer; 3], topic: &Topic) {
    let conn = producers[0].conn;
    run.ask(conn, describe(&producers.map(|it| it.name)));
    for states in [&[][..], &["Empty"], &["CompleteAbort", "Ongoing"]] {
        run.ask_each(conn, |side| ListTransactionsRequest {
            state_filters: states.to_vec(),
            producer_id_filters: producers.map(|it| it.id[side]).to_vec(),
            ..ListTransactionsRequest::default()
        });
    }
    seen::producers(run, conn, topic);
}
