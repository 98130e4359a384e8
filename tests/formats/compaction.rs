//! Compaction beside Apache Kafka: the same records are written to both brokers, both compact them, and both serve the
//! same keys with the same values at the same offsets. Kafka's tool reads what chronikd has left on the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chronikd::proto::batch::BatchBuilder;
use chronikd::proto::codec::Codec;
use chronikd::proto::error::ErrorCode;

use crate::common::apache::{self, Apache, NEWEST};
use crate::common::broker::Broker;
use crate::common::kafka::Kafka;
use crate::common::{self, now_ms};

const TOPIC: &str = "compacted";
const CONFIGS: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "86400000"),
    ("file.delete.delay.ms", "100"),
];
const BATCHES: u64 = 400;
const BATCH: u64 = 25;
const KEYS: u64 = 700;
const LIMIT: Duration = Duration::from_secs(90);

/// What a reader sees of a record: its key, and its value or none.
type Seen = BTreeMap<i64, (String, Option<String>)>;

#[test]
fn both_brokers_leave_the_same_records_at_the_same_offsets() {
    if let Err(why) = Apache::is_here(NEWEST) {
        return common::skipped("formats", &why);
    }
    let time_ms = now_ms() - 600_000;
    let mut broker = Broker::start(&["-o", "log.cleaner.backoff.ms=200"]);
    let mut ours = Kafka::connect(broker.port()).expect("a connection");
    ours.create(TOPIC, 1, CONFIGS);
    produce(&mut ours, time_ms);
    let apache = Apache::start(
        NEWEST,
        &[
            "log.cleaner.backoff.ms=200",
            "log.cleaner.dedupe.buffer.size=16777216",
        ],
    );
    let mut theirs = apache.make_topic(TOPIC, CONFIGS);
    produce(&mut theirs, time_ms);
    let (ours, theirs) = (settled(&mut ours), settled(&mut theirs));
    let all = BATCHES * BATCH;
    assert!((ours.len() as u64) < all * 3 / 4, "{} of {all}", ours.len());
    assert_eq!(last_values(&ours), last_values(&theirs));
    let differ: Vec<i64> = (0..all.cast_signed())
        .filter(|offset| ours.get(offset) != theirs.get(offset))
        .collect();
    assert_eq!(
        differ,
        [0; 0],
        "of {} and {} records",
        ours.len(),
        theirs.len()
    );
    assert_eq!(broker.term().code(), Some(0));
    is_read_by_kafkas_tool(&broker.data().join(format!("{TOPIC}-0")), &ours);
}

/// Ends with a batch that makes the last full segment end, so that all but it is compacted.
fn produce(client: &mut Kafka, time_ms: i64) {
    let (id, epoch) = client.producer_id().expect("a producer id");
    for batch in 0..BATCHES {
        let codec = Codec::ALL[(batch % 5) as usize];
        let sequence = (batch * BATCH) as i32;
        let mut builder = BatchBuilder::new(0)
            .codec(codec)
            .producer(id, epoch, sequence);
        for i in batch * BATCH..(batch + 1) * BATCH {
            let key = format!("key-{}", i.wrapping_mul(0x9e37_79b9) % KEYS);
            // Values that no codec makes small, so that segments end where they are full.
            let noise = (0..60).map(|n| format!("{:016x}", mixed(i * 60 + n)));
            let value: Option<String> = (i % 11 > 0).then(|| noise.collect());
            let value = value.as_deref().map(str::as_bytes);
            builder.push(time_ms + i.cast_signed(), Some(key.as_bytes()), value);
        }
        let bytes = builder.build(None).expect("a batch");
        client.produce(TOPIC, 0, -1, &bytes).expect("sent");
        assert_eq!(client.acked().expect("an answer").error, ErrorCode::NONE);
    }
}

fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

/// What is left when nothing changes any more.
fn settled(client: &mut Kafka) -> Seen {
    let began = Instant::now();
    let (mut last, mut since) = (seen(client), Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = seen(client);
        if now.len() != last.len() {
            (last, since) = (now, Instant::now());
        }
        let is_compacted = (last.len() as u64) < BATCHES * BATCH;
        if is_compacted && since.elapsed() > Duration::from_secs(5) {
            return last;
        }
        assert!(began.elapsed() < LIMIT, "{} records are left", last.len());
    }
}

fn seen(client: &mut Kafka) -> Seen {
    let read = client.read_all(TOPIC, 0).expect("a readable log");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let record = |read: common::kafka::Read| {
        let key = text(read.key.expect("a key"));
        (read.offset, (key, read.value.map(text)))
    };
    read.into_iter().map(record).collect()
}

fn last_values(seen: &Seen) -> BTreeMap<&str, &str> {
    let mut values = BTreeMap::new();
    for (key, value) in seen.values() {
        match value {
            Some(value) => values.insert(&**key, &**value),
            None => values.remove(&**key),
        };
    }
    values
}

fn is_read_by_kafkas_tool(dir: &std::path::Path, seen: &Seen) {
    let logs: Vec<PathBuf> = crate::files(dir, "log");
    let shown = apache::dump(&logs, &["--deep-iteration", "--print-data-log"]);
    let batches = shown
        .lines()
        .filter(|line| line.starts_with("baseOffset: "));
    for batch in batches {
        assert!(batch.ends_with("isvalid: true"), "{batch}");
    }
    let records = shown
        .lines()
        .filter_map(|line| line.strip_prefix("| offset: "));
    let offsets = records.filter_map(|line| line.split(' ').next()?.parse().ok());
    let offsets: Vec<i64> = offsets.collect();
    assert!(offsets.iter().eq(seen.keys()), "{} records", offsets.len());
    crate::indexes_agree_with_their_logs(dir);
}
