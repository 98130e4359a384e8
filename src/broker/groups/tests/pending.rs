//! Offsets that transactions bring. What is true is told after a replay of the whole journal, and after one of the
//! newest value of every key alone.

use super::super::offsets::{self, Committed, Offsets};
use super::*;
use crate::storage::PartitionId;

/// Two producers.
const P: i64 = 7;
const Q: i64 = 8;
const WEEK_MS: i64 = 7 * 24 * 3_600_000;

fn at(partition: i32) -> PartitionId {
    PartitionId {
        topic: Uuid([1; 16]),
        partition,
    }
}

impl Desk {
    fn all(&self, rows: &[(i32, i64)]) -> Offsets {
        let committed = |offset| Committed {
            offset,
            leader_epoch: -1,
            metadata: "".into(),
            commit_timestamp_ms: self.now.wall_ms,
            expire_timestamp_ms: None,
            order: 0,
        };
        rows.iter()
            .map(|&(partition, offset)| (at(partition), committed(offset)))
            .collect()
    }

    /// OffsetCommit.
    fn commits(&mut self, rows: &[(i32, i64)]) {
        let records = self.groups.commit(GROUP, self.all(rows));
        self.keep(records);
    }

    /// TxnOffsetCommit.
    fn brings(&mut self, producer_id: i64, rows: &[(i32, i64)]) {
        let all = self.all(rows);
        let records = self.groups.commit_pending(producer_id, GROUP, all);
        self.keep(records);
    }

    fn end(&self, producer_id: i64, commits: bool) -> Vec<Record> {
        let groups = BTreeSet::from([GROUP.into(), "another".into()]);
        offsets::ended(&self.groups, producer_id, &groups, commits)
    }

    /// EndTxn.
    fn ends(&mut self, producer_id: i64, commits: bool) {
        let records = self.end(producer_id, commits);
        self.keep(records);
    }

    /// What is committed, and which partitions are not stable.
    fn told(&self) -> (Vec<(i32, i64)>, Vec<i32>) {
        let Some(group) = self.groups.get(GROUP) else {
            return (Vec::new(), Vec::new());
        };
        let own = group.offsets.iter();
        let own = own.map(|(at, committed)| (at.partition, committed.offset));
        let unstable = (0..9).filter(|&partition| group.pending_offsets.has(&at(partition)));
        (own.collect(), unstable.collect())
    }

    /// The same as `told`, here and after restarts of both kinds.
    fn lasts(&mut self) -> (Vec<(i32, i64)>, Vec<i32>) {
        let told = self.told();
        self.restart();
        assert_eq!(self.told(), told, "after a replay");
        self.snapshot();
        self.restart();
        assert_eq!(self.told(), told, "after a snapshot");
        told
    }

    /// Leaves the newest value of every key in the journal, in the order of keys.
    fn snapshot(&mut self) {
        let mut newest = BTreeMap::new();
        for record in std::mem::take(&mut self.journal) {
            let encoded = record.encode();
            let Change { key, value } = encoded.change();
            newest.insert(key.to_vec(), value.map(|_| record));
        }
        self.journal = newest.into_values().flatten().collect();
    }

    fn ages(&mut self) {
        self.now.wall_ms += WEEK_MS;
        let wall_ms = self.now.wall_ms;
        let aged = offsets::aged(self.group(), wall_ms, WEEK_MS, |_| Some("t".into()));
        self.keep(aged);
    }
}

#[test]
fn what_a_transaction_brings_counts_from_its_commit_on_and_never_after_an_abort() {
    for commits in [true, false] {
        let mut desk = desk();
        desk.commits(&[(0, 1), (2, 1)]);
        desk.brings(P, &[(0, 5), (1, 6)]);
        desk.brings(P, &[(1, 7)]);
        assert_eq!(desk.lasts(), (vec![(0, 1), (2, 1)], vec![0, 1]));
        desk.ends(P, commits);
        let expected = match commits {
            true => vec![(0, 5), (1, 7), (2, 1)],
            false => vec![(0, 1), (2, 1)],
        };
        assert_eq!(desk.lasts(), (expected, vec![]));
        desk.ends(P, commits);
        desk.ends(Q, commits);
        assert_eq!(desk.round, 5 + if commits { 4 } else { 2 });
    }
}

#[test]
fn the_newest_commit_stays_whenever_the_transactions_of_others_end() {
    let mut desk = desk();
    desk.brings(P, &[(0, 5)]);
    desk.commits(&[(0, 8)]);
    desk.brings(Q, &[(0, 9)]);
    assert_eq!(desk.lasts(), (vec![(0, 8)], vec![0]));
    desk.ends(P, true);
    assert_eq!(desk.lasts(), (vec![(0, 8)], vec![0]), "overtaken");
    desk.ends(Q, true);
    assert_eq!(desk.lasts(), (vec![(0, 9)], vec![]));
    desk.commits(&[(0, 3)]);
    assert_eq!(desk.lasts(), (vec![(0, 3)], vec![]));
}

#[test]
fn of_two_transactions_the_one_that_brought_its_offset_last_wins_and_not_the_one_that_ended_last() {
    for first in [P, Q] {
        let mut desk = desk();
        desk.brings(P, &[(0, 5)]);
        desk.brings(Q, &[(0, 9)]);
        desk.ends(first, true);
        assert_eq!(desk.lasts().1, [0], "the other one is open");
        desk.ends(P + Q - first, true);
        assert_eq!(desk.lasts(), (vec![(0, 9)], vec![]));
        assert_eq!(
            desk.group().offsets[&at(0)].order,
            if first == P { 0 } else { 2 }
        );
        desk.brings(P, &[(0, 4)]);
        desk.ends(P, true);
        assert_eq!(desk.lasts(), (vec![(0, 4)], vec![]));
    }
}

#[test]
fn a_commit_that_overtook_an_aborted_transaction_is_overtaken_by_the_next() {
    let mut desk = desk();
    desk.brings(P, &[(0, 5)]);
    desk.commits(&[(0, 8)]);
    desk.ends(P, false);
    desk.brings(Q, &[(0, 9)]);
    desk.lasts();
    desk.ends(Q, true);
    assert_eq!(desk.lasts(), (vec![(0, 9)], vec![]));
    assert_eq!(desk.group().offsets[&at(0)].order, 0, "it starts anew");
}

#[test]
fn the_order_of_commits_does_not_overflow() {
    let mut desk = desk();
    desk.brings(P, &[(0, 5)]);
    let mut last = desk.all(&[(0, 6)]);
    for committed in last.values_mut() {
        committed.order = i32::MAX;
    }
    desk.keep([Record::PendingOffset {
        producer_id: Q,
        group: GROUP.into(),
        at: at(0),
        committed: last.remove(&at(0)).unwrap(),
    }]);
    desk.brings(P, &[(0, 7)]);
    desk.ends(Q, true);
    desk.ends(P, true);
    assert_eq!(desk.lasts(), (vec![(0, 7)], vec![]));
}

#[test]
fn an_end_that_is_cut_off_anywhere_is_carried_on() {
    for commits in [true, false] {
        for cut in 0..=6 {
            let mut desk = desk();
            desk.brings(Q, &[(1, 2)]);
            desk.brings(P, &[(0, 5), (1, 6), (2, 7)]);
            let mut records = desk.end(P, commits);
            records.truncate(cut);
            desk.keep(records);
            desk.lasts();
            desk.ends(P, commits);
            let expected = match commits {
                true => vec![(0, 5), (1, 6), (2, 7)],
                false => vec![],
            };
            assert_eq!(desk.lasts(), (expected.clone(), vec![1]), "{cut}");
            desk.ends(Q, true);
            let own = match commits {
                true => expected,
                false => vec![(1, 2)],
            };
            assert_eq!(desk.lasts(), (own, vec![]), "{cut}");
        }
    }
}

#[test]
fn a_group_of_pending_offsets_alone_is_there_until_they_go() {
    let mut desk = desk();
    desk.brings(P, &[(0, 5)]);
    desk.brings(Q, &[(1, 5)]);
    assert_eq!(desk.state(), "Empty");
    desk.ages();
    assert_eq!(desk.lasts(), (vec![], vec![0, 1]));
    desk.ends(P, false);
    assert_eq!(desk.lasts(), (vec![], vec![1]));
    desk.ends(Q, false);
    assert_eq!(desk.state(), "Dead");
    assert_eq!(desk.lasts(), (vec![], vec![]));
}

#[test]
fn neither_a_group_nor_an_offset_goes_by_age_that_a_transaction_is_about_to_replace() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    desk.leave(&member.member_id);
    desk.commits(&[(0, 1), (1, 1)]);
    desk.brings(P, &[(0, 5)]);
    desk.ages();
    assert_eq!(desk.lasts(), (vec![(0, 1)], vec![0]));
    desk.ends(P, false);
    desk.ages();
    assert_eq!(desk.state(), "Dead");

    let mut desk = self::desk();
    let member = desk.stable(&[client()]).remove(0);
    desk.leave(&member.member_id);
    desk.brings(P, &[(0, 5)]);
    desk.ages();
    assert_eq!(desk.lasts(), (vec![], vec![0]));
    desk.ends(P, true);
    desk.ages();
    assert_eq!(desk.state(), "Dead");
}

#[test]
fn what_is_forgotten_or_deleted_goes_out_of_transactions_too() {
    let mut desk = desk();
    desk.commits(&[(0, 1), (2, 1)]);
    desk.brings(P, &[(0, 5), (1, 5), (2, 5)]);
    desk.brings(Q, &[(1, 6)]);
    let doomed = offsets::tombstones(desk.group(), [at(0), at(1), at(5)]);
    let doomed: Vec<Record> = doomed.collect();
    assert_eq!(doomed.len(), 4, "nothing that is not there");
    desk.keep(doomed);
    assert_eq!(desk.lasts(), (vec![(2, 1)], vec![2]));
    desk.ends(Q, true);
    assert_eq!(desk.lasts(), (vec![(2, 1)], vec![2]));
    let all = offsets::all_of(desk.group());
    desk.keep(all);
    desk.ends(P, true);
    assert_eq!(desk.lasts(), (vec![], vec![]));
    assert_eq!(desk.state(), "Dead");
}

#[test]
fn the_offsets_of_a_topic_go_whether_they_are_pending_or_not() {
    let mut desk = desk();
    desk.commits(&[(0, 1)]);
    desk.brings(P, &[(0, 5), (1, 5)]);
    assert_eq!(desk.groups.offsets_of_topic(Uuid([2; 16])), []);
    let some = desk.groups.offsets_where(|at| at.partition == 1);
    assert_eq!(some.len(), 1);
    let all = desk.groups.offsets_of_topic(Uuid([1; 16]));
    desk.keep(all);
    assert_eq!(desk.lasts(), (vec![], vec![]));
    assert_eq!(desk.state(), "Dead");
}

#[test]
fn who_may_bring_offsets_is_judged_as_kafka_does() {
    let nobody = |generation_id| Claim {
        group_id: GROUP,
        generation_id,
        member_id: "",
        group_instance_id: None,
    };
    let mut desk = desk();
    let illegal = Err(ErrorCode::ILLEGAL_GENERATION);
    let unknown = Err(ErrorCode::UNKNOWN_MEMBER_ID);
    let stranger = |generation_id| Claim {
        member_id: "x",
        ..nobody(generation_id)
    };
    for (claim, said) in [
        (nobody(-1), Ok(())),
        (stranger(-1), Ok(())),
        (nobody(0), illegal),
        (stranger(0), illegal),
    ] {
        assert_eq!(desk.groups.check_pending_commit(&claim), said, "no group");
    }
    let members = desk.stable(&[client(), client().instance("one")]);
    let of_one = Claim {
        group_instance_id: Some("one"),
        ..claim(&members[1])
    };
    for (claim, said) in [
        (claim(&members[0]), Ok(())),
        (of_one, Ok(())),
        (nobody(-1), Ok(())),
        (nobody(1), unknown),
        (stranger(-1), unknown),
        (stranger(1), unknown),
        (
            Claim {
                generation_id: 2,
                ..of_one
            },
            illegal,
        ),
        (
            Claim {
                generation_id: -1,
                ..of_one
            },
            illegal,
        ),
        (
            Claim {
                member_id: "x",
                ..of_one
            },
            Err(ErrorCode::FENCED_INSTANCE_ID),
        ),
        (
            Claim {
                group_instance_id: Some("two"),
                ..nobody(-1)
            },
            unknown,
        ),
    ] {
        assert_eq!(desk.groups.check_pending_commit(&claim), said, "{claim:?}");
    }
}

#[test]
fn a_group_without_members_takes_offsets_of_anybody_who_names_no_generation() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    desk.leave(&member.member_id);
    assert_eq!(desk.state(), "Empty");
    let with = |generation_id| Claim {
        generation_id,
        ..claim(&member)
    };
    assert_eq!(desk.groups.check_pending_commit(&with(-1)), Ok(()));
    let gone = Err(ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(desk.groups.check_pending_commit(&with(2)), gone);
}

#[test]
fn offsets_in_a_transaction_are_taken_while_the_work_is_shared_out() {
    let mut desk = desk();
    let first = desk.stable(&[client()]).remove(0);
    desk.join(&client());
    let again = desk.join(&client().with_id(&first.member_id));
    let again = desk.joined(again);
    assert_eq!(desk.state(), "CompletingRebalance");
    assert_eq!(desk.groups.check_pending_commit(&claim(&again)), Ok(()));
    let late = desk.groups.check_pending_commit(&claim(&first));
    assert_eq!(late, Err(ErrorCode::ILLEGAL_GENERATION));
}

#[test]
fn no_session_goes_on_by_an_offset_in_a_transaction() {
    let mut desk = desk();
    let member = desk.stable(&[client()]).remove(0);
    desk.wait(i64::from(SESSION_MS) - 1);
    assert_eq!(desk.groups.check_pending_commit(&claim(&member)), Ok(()));
    desk.wait(1);
    assert_eq!(desk.state(), "Empty");
}

/// Apache Kafka's rules, which know of every commit where it lies in a log.
#[derive(Default)]
struct Oracle {
    records: u64,
    own: BTreeMap<i32, (u64, i64)>,
    pending: BTreeMap<(i64, i32), (u64, i64)>,
}

impl Oracle {
    fn record(&mut self, offset: i64) -> (u64, i64) {
        self.records += 1;
        (self.records, offset)
    }

    fn ends(&mut self, producer_id: i64, commits: bool) {
        let is_ones = |&((id, _), _): &((i64, i32), _)| id == producer_id;
        let pending = std::mem::take(&mut self.pending).into_iter();
        let (brought, others): (Vec<_>, Vec<_>) = pending.partition(is_ones);
        self.pending = others.into_iter().collect();
        for ((_, partition), (record, offset)) in brought {
            let had = self.own.get(&partition).map_or(0, |&(record, _)| record);
            if commits && record > had {
                self.own.insert(partition, (record, offset));
            }
        }
    }

    fn forgets(&mut self, partition: i32) {
        self.own.remove(&partition);
        self.pending.retain(|&(_, other), _| other != partition);
    }

    fn told(&self) -> (Vec<(i32, i64)>, Vec<i32>) {
        let own = self.own.iter();
        let own = own.map(|(&partition, &(_, offset))| (partition, offset));
        let unstable: BTreeSet<i32> = self.pending.keys().map(|&(_, it)| it).collect();
        (own.collect(), unstable.into_iter().collect())
    }
}

#[test]
fn whatever_is_committed_and_ended_in_whatever_order_the_group_has_what_kafka_would_have() {
    for seed in 0..100 {
        let mut luck = random::Luck(seed);
        let mut desk = desk();
        let mut oracle = Oracle::default();
        for offset in 0..150 {
            let partition = i32::try_from(luck.below(3)).unwrap();
            let producer_id = P + i64::try_from(luck.below(3)).unwrap();
            match luck.below(16) {
                0..3 => {
                    desk.commits(&[(partition, offset)]);
                    let record = oracle.record(offset);
                    oracle.own.insert(partition, record);
                }
                3..9 => {
                    desk.brings(producer_id, &[(partition, offset)]);
                    let record = oracle.record(offset);
                    oracle.pending.insert((producer_id, partition), record);
                }
                outcome @ 9..13 => {
                    desk.ends(producer_id, outcome > 9);
                    oracle.ends(producer_id, outcome > 9);
                }
                13 if desk.state() != "Dead" => {
                    let doomed = offsets::tombstones(desk.group(), [at(partition)]);
                    let doomed: Vec<Record> = doomed.collect();
                    desk.keep(doomed);
                    oracle.forgets(partition);
                }
                _ => drop(desk.lasts()),
            }
            assert_eq!(desk.told(), oracle.told(), "seed {seed}");
        }
    }
}
