//! A transaction over ten thousand partitions: its end takes several turns, between which others are served, and a kill
//! between any two of them does no harm.

use super::*;

const PARTITIONS: i32 = 10_000;
/// Records are written to these.
const WRITTEN: [i32; 2] = [0, PARTITIONS - 1];

/// An EndTxn that is answered and not durable.
fn ending(commits: bool) -> Bench {
    let mut bench = Bench::new();
    bench.create(topic(PARTITIONS));
    bench.run();
    let who = bench.producer();
    let all: Vec<i32> = (0..PARTITIONS).collect();
    assert_eq!(bench.add(3, who, &all), vec![E::NONE; all.len()]);
    bench.run();
    for partition in WRITTEN {
        assert_eq!(bench.send(9, who, partition, 0), E::NONE);
    }
    bench.run();
    assert_eq!(bench.end_txn(3, who, commits), Ok((-1, -1)));
    bench
}

impl Bench {
    /// In how many partitions there is a marker.
    fn marked(&self) -> usize {
        let at = |partition| (self.ends(partition).0, WRITTEN.contains(&partition));
        let is_marked = |(end, is_written)| end > i64::from(is_written);
        (0..PARTITIONS).map(at).filter(|&it| is_marked(it)).count()
    }

    fn check_end(&mut self, state: &str) {
        assert_eq!(self.state(), state);
        assert_eq!(self.marked(), PARTITIONS as usize);
        let is_seen = |partition| {
            let (end, stable) = self.ends(partition);
            end == stable
        };
        assert!((0..PARTITIONS).all(is_seen), "nobody is held back");
    }
}

#[test]
fn a_large_end_leaves_turns_to_others() {
    let mut bench = ending(true);
    bench.sync();
    let mut before = 0;
    while bench.state() == "PrepareCommit" {
        let marked = bench.marked();
        assert!(before < marked && marked <= before + 1000, "{marked}");
        before = marked;
        // A member of no transaction writes, and its records wait for nothing but the disk.
        assert_eq!(produced(&bench.produce(7).answer()), E::NONE);
        bench.broker.tick(bench.now);
    }
    assert!(before > 5000, "that took several turns");
    bench.quiet();
    bench.check_end("CompleteCommit");
}

#[test]
fn a_large_end_is_carried_on_wherever_a_kill_has_stopped_it() {
    for turns in [1, 4] {
        let mut bench = ending(false);
        bench.sync();
        for _ in 0..turns {
            bench.broker.tick(bench.now);
        }
        let mut bench = killed(bench.sync_and_die());
        bench.check_end("CompleteAbort");
        assert_eq!(WRITTEN.map(|at| bench.aborted(at)), [[0], [0]]);
    }
}
