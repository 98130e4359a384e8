//! Random lives of one partition, with power cuts, against an oracle that knows what was promised.

use super::ledger::Ledger;
use super::*;

/// What must be there: every record that was appended, in order.
#[derive(Default)]
struct Oracle {
    values: Vec<Vec<u8>>,
    /// Everything before it was acknowledged, or read.
    promised: usize,
    /// Idempotent producer 7: the next sequence, and the batches that may be sent again.
    sent: Vec<(i32, Vec<u8>, i64)>,
    /// What the transactional producers have done.
    ledger: Ledger,
    /// Where the log was seen to begin: it never goes back.
    start: i64,
    /// Where it was told to begin.
    wanted_start: i64,
}

/// Random steps of one partition against an oracle, with cuts of all kinds.
fn run_model(seed: u64, steps: u32) {
    let mut room = Room::new(seed, small(), 1);
    let mut oracle = Oracle::default();
    for step in 0..steps {
        match room.disk.draw(100) {
            0..20 => model_append(&mut room, &mut oracle, step),
            20..40 => {
                let values = oracle.ledger.act(&mut room, step);
                oracle.values.extend(values);
            }
            40..50 => model_produce(&mut room, &mut oracle, step),
            50..55 => model_retry(&mut room, &oracle),
            55..75 => {
                room.start_work();
                room.lanes.step_sync();
                room.absorb();
            }
            75..85 => {
                room.start_work();
                room.lanes.run_work();
                room.absorb();
            }
            85..88 => room.storage.checkpoint(id(0)),
            88..90 => room.settle(),
            90..92 => model_delete(&mut room, &mut oracle),
            92..95 => room = model_crash(room, &mut oracle),
            95..97 => {
                room = room.restart();
                oracle.promised = oracle.values.len();
            }
            _ => model_read(&mut room, &mut oracle),
        }
        room.storage.check_invariants();
    }
    let mut room = model_crash(room, &mut oracle);
    model_read(&mut room, &mut oracle);
}

fn model_append(room: &mut Room, oracle: &mut Oracle, step: u32) {
    let count = 1 + room.disk.draw(3) as i32;
    let size = room.disk.draw(400) as usize;
    let value = [&step.to_be_bytes()[..], &vec![1; size]].concat();
    let appended = room.append(0, &batch(count, &value)).unwrap();
    assert_eq!(appended.base_offset, oracle.values.len() as i64);
    oracle.values.extend((0..count).map(|_| value.clone()));
}

fn model_produce(room: &mut Room, oracle: &mut Oracle, step: u32) {
    let sequence = oracle.sent.last().map_or(0, |(last, ..)| last + 1);
    let value = step.to_be_bytes().to_vec();
    let appended = room.append(0, &produced(7, sequence, &value)).unwrap();
    assert!(!appended.duplicate);
    oracle
        .sent
        .push((sequence, value.clone(), appended.base_offset));
    oracle.values.push(value);
}

/// Any of the last five batches is answered with its first offset, however often the power failed.
fn model_retry(room: &mut Room, oracle: &Oracle) {
    let last = oracle.sent.len();
    let back = 1 + room.disk.draw(5) as usize;
    let Some((sequence, value, offset)) = last.checked_sub(back).map(|n| &oracle.sent[n]) else {
        return;
    };
    let appended = room.append(0, &produced(7, *sequence, value)).unwrap();
    assert_eq!((appended.base_offset, appended.duplicate), (*offset, true));
}

/// What is deleted goes with a round, and no later than its segments do.
fn model_delete(room: &mut Room, oracle: &mut Oracle) {
    let log = room.storage.log(id(0)).unwrap();
    let (start, end) = (log.log_start(), log.high_watermark());
    let offset = start + room.disk.draw((end - start) as u64 + 1) as i64;
    let round = room
        .storage
        .raise_starts(&[(id(0), offset)], "a test")
        .unwrap();
    assert_eq!(round > 0, offset > start);
    oracle.wanted_start = oracle.wanted_start.max(offset);
    // The recovery points may be due as well.
    room.now.mono = room.now.mono.plus_ms(1500);
    room.storage.tick(room.now);
}

/// Where the log begins only rises, and to no other offset than was asked for.
fn model_start(room: &Room, oracle: &mut Oracle) -> i64 {
    let start = room.storage.log(id(0)).unwrap().log_start();
    assert!(
        (oracle.start..=oracle.wanted_start).contains(&start),
        "{start} is not from {} to {}",
        oracle.start,
        oracle.wanted_start
    );
    oracle.start = start;
    start
}

fn model_read(room: &mut Room, oracle: &mut Oracle) {
    let start = model_start(room, oracle);
    let values = room.values(0);
    let log = room.storage.log(id(0)).unwrap();
    let end = log.high_watermark();
    let expected = (0..).zip(oracle.values.iter().cloned());
    let expected = expected.take(end as usize).skip(start as usize);
    assert_eq!(values, expected.collect::<Vec<_>>());
    oracle.promised = oracle.promised.max(end as usize);
    oracle.ledger.check(room, &oracle.values);
}

/// Cuts the power, perhaps once more during the recovery, and takes the oracle back to what is left.
fn model_crash(mut room: Room, oracle: &mut Oracle) -> Room {
    let (disk, config) = (room.disk.clone(), (*room.config).clone());
    let in_checkpoint = disk.draw(2) == 0;
    if in_checkpoint {
        room.storage.checkpoint(id(0));
        disk.cut_at(disk.operations() + disk.draw(16));
        room.run_until_dead();
    }
    oracle.promised = oracle
        .promised
        .max(room.storage.log(id(0)).unwrap().synced() as usize);
    model_start(&room, oracle);
    drop(room);
    if !in_checkpoint && disk.draw(3) == 0 {
        // The process dies and the machine goes on: what was not synced is there, for now.
        disk.kill();
    } else {
        disk.crash(Survives::Some);
    }
    for _ in 0..disk.draw(3) {
        disk.cut_at(disk.draw(12));
        let mut room = Room::on_unsettled_or_dead(&disk, &config);
        if let Some(room) = &mut room {
            room.run_until_dead();
        }
        disk.crash(Survives::Some);
    }
    let mut room = Room::on(disk, config, 1, false);
    let end = room.storage.log(id(0)).unwrap().log_end() as usize;
    assert!(
        end >= oracle.promised,
        "{end} of {} promised",
        oracle.promised
    );
    assert!(end <= oracle.values.len());
    oracle.values.truncate(end);
    oracle.sent.retain(|(.., offset)| (*offset as usize) < end);
    oracle.ledger.cut(end as i64);
    model_read(&mut room, oracle);
    room
}

impl Room {
    /// A start on a disk that may stop at any operation.
    fn on_unsettled_or_dead(disk: &SimDisk, config: &LogConfig) -> Option<Room> {
        let arc: Arc<dyn Disk> = Arc::new(disk.clone());
        let now = Now {
            mono: Mono(0),
            wall_ms: WALL_MS,
        };
        let config = Arc::new(config.clone());
        let known = vec![Known {
            id: id(0),
            topic_name: "t".into(),
            config: Arc::clone(&config),
        }];
        let mut storage = Storage::new(arc, PathBuf::from("/data"), 1, StorageConfig::default());
        storage.start(known, &BTreeSet::new(), false, now).ok()?;
        Some(Room {
            lanes: SimLanes::new(disk),
            disk: disk.clone(),
            storage,
            config,
            partitions: 1,
            round: 0,
            now,
        })
    }

    /// Runs what a start wants to have run, until something fails.
    pub(super) fn run_until_dead(&mut self) {
        loop {
            if self.try_to_start_work().is_err() {
                return;
            }
            let worked = self.lanes.run_sync() | self.lanes.run_work();
            for done in self.lanes.completed() {
                match done {
                    Completion::Synced(round) => self.storage.synced(round),
                    Completion::SyncFailed(..) => return,
                    Completion::Worked(done) => {
                        if self.storage.absorb(done, self.now).is_err() {
                            return;
                        }
                    }
                }
            }
            if !worked {
                return;
            }
        }
    }
}

#[test]
fn a_random_life_with_cuts_keeps_every_promise() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| run_model(seed, 120));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
