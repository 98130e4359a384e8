//! Fetch and ListOffsets of partitions with transactions.

use std::time::Duration;

use chronikd::proto::ApiKey;
use chronikd::proto::schema::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::run::{Conn, Run};
use crate::scripts::kit::{Topic, append, batch, topic};
use crate::scripts::records::{at, fetch};
use crate::scripts::txns::producer::{OLD_END, Producer};

/// In it the clock of either broker moves on by a millisecond.
const TICK: Duration = Duration::from_millis(2);

/// Plain records, transactions of two producers that were committed and aborted, and open ones.
fn mixed(run: &mut Run<'_>, conn: Conn) -> (Topic, Producer, i64) {
    let topic = topic(run, conn, 2, &[]);
    let [mut one, mut two] = ["one", "two"].map(|it| Producer::begins(run, conn, it));
    append(run, conn, &topic, &[batch(&["a"])]);
    for (sequence, committed) in [(0, true), (2, false), (4, false)] {
        one.adds(run, &topic, &[0]);
        two.adds(run, &topic, &[0]);
        one.writes(run, &topic, 0, sequence);
        two.writes(run, &topic, 0, sequence);
        append(run, conn, &topic, &[batch(&["plain"])]);
        two.ends_at(run, OLD_END, !committed);
        // Where two markers share a millisecond the newest time is the first one's, which no script can foresee.
        std::thread::sleep(TICK);
        one.ends_at(run, OLD_END, committed);
    }
    one.adds(run, &topic, &[0]);
    one.writes(run, &topic, 0, 6);
    append(run, conn, &topic, &[batch(&["end"])]);
    (topic, one, 1 + 3 * 7 + 3)
}

/// Whether a marker of a closed transaction of `mixed` is there.
fn is_marker(offset: i64) -> bool {
    (1..=21).contains(&offset) && [0, 6].contains(&(offset % 7))
}

/// From here on a client is sent control batches.
const KNOWS_MARKERS: i16 = 4;

pub(crate) fn fetches(run: &mut Run<'_>) {
    if run.version(ApiKey::Fetch) >= KNOWS_MARKERS {
        read_everywhere(run);
    }
}

pub(crate) fn old_fetches(run: &mut Run<'_>) {
    if run.version(ApiKey::Fetch) < KNOWS_MARKERS {
        read_everywhere(run);
    }
}

/// Of what was aborted only that is told which the answer's records touch.
pub(crate) fn parts(run: &mut Run<'_>) {
    if run.version(ApiKey::Fetch) < KNOWS_MARKERS {
        return;
    }
    let conn = run.connect("consumer");
    let (topic, ..) = mixed(run, conn);
    for (offset, max_bytes) in [(1, 200), (8, 1), (11, 300)] {
        read(run, conn, &topic, (offset, 1, max_bytes));
    }
}

/// Reads from an offset at a level of isolation, so many bytes.
fn read(run: &mut Run<'_>, conn: Conn, topic: &Topic, (offset, level, max_bytes): (i64, i8, i32)) {
    run.ask_each(conn, |side| {
        let mut request = fetch(side, topic, &[at(offset)]);
        (request.isolation_level, request.max_bytes) = (level, max_bytes);
        request
    });
}

fn read_everywhere(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let (topic, mut open, end) = mixed(run, conn);
    // Of a read that begins at a marker Kafka 3.9 sends an old client the first records twice.
    let is_old = run.version(ApiKey::Fetch) < KNOWS_MARKERS;
    for committed in [false, true] {
        for offset in (0..=end + 1).filter(|it| !(is_old && is_marker(*it))) {
            for isolation_level in [0, 1] {
                read(run, conn, &topic, (offset, isolation_level, 1 << 20));
            }
        }
        open.ends_at(run, OLD_END, committed);
    }
}

pub(crate) fn ends(run: &mut Run<'_>) {
    let conn = run.connect("consumer");
    let (topic, mut open, _) = mixed(run, conn);
    if run.version(ApiKey::ListOffsets) == 0 {
        return;
    }
    for _ in 0..2 {
        for (timestamp, isolation_level) in [-1, -2, -3, 0, 1 << 50]
            .into_iter()
            .flat_map(|timestamp| [(timestamp, 0), (timestamp, 1)])
            .chain([(-1, 2), (-1, -1)])
        {
            let place = ListOffsetsPartition {
                timestamp,
                ..ListOffsetsPartition::default()
            };
            run.ask(
                conn,
                ListOffsetsRequest {
                    replica_id: -1,
                    isolation_level,
                    topics: vec![ListOffsetsTopic {
                        name: topic.name,
                        partitions: vec![place],
                    }],
                    timeout_ms: 1000,
                },
            );
        }
        open.ends_at(run, OLD_END, false);
    }
}
