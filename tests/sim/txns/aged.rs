//! A disk that has seen much: there are transactional ids whose epochs are nearly used up.

use super::{COPIERS, IDS};
use crate::ledger::{End, Ledger};
use crate::machine::Machine;
use chronikd::broker::txns::Init;
use chronikd::config::BrokerConfig;
use chronikd::disk::sim::{SimDisk, Survives};
use std::sync::OnceLock;

/// The transactional ids, and how many epochs a producer has left after its first.
const LEFT: [(&str, i16); 3] = [(IDS[0], 3), (IDS[1], 9), (COPIERS[0], 6)];
/// How many epochs are given in a turn.
const A_TURN: i16 = 1_000;

/// A copy of it, with that luck.
pub fn disk(seed: u64) -> SimDisk {
    static AGED: OnceLock<SimDisk> = OnceLock::new();
    AGED.get_or_init(grow_old).fork(seed)
}

fn grow_old() -> SimDisk {
    let mut machine = Machine::new(0, BrokerConfig::default());
    let mut ledger = Ledger::new();
    let mut turn = |machine: &mut Machine| {
        machine.turn(&mut ledger).expect("a turn");
        while machine.step_sync().expect("power") {}
        while machine.run_work().expect("power") {}
    };
    let mut first = Ledger::new();
    machine.start(&mut first).expect("a start");
    first.ended(End::Clean);
    while machine.broker().check_transactions().is_err() {
        turn(&mut machine);
    }
    for (id, left) in LEFT {
        let highest = i16::MAX - 1 - left;
        let mut epoch = -1;
        while epoch < highest {
            let count = A_TURN.min(highest - epoch);
            epoch = machine.initialize(&init(id), count);
            turn(&mut machine);
        }
    }
    machine.begin_stop();
    while !machine.is_stopped() {
        turn(&mut machine);
    }
    machine.crash(Survives::Nothing);
    machine.disk.clone()
}

fn init(id: &'static str) -> Init<'static> {
    Init {
        transactional_id: id,
        timeout_ms: 60_000,
        believed: None,
    }
}
