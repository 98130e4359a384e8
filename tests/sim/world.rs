//! One seed: clients, chaos, power cuts, and at last a calm in which everything has to come out right.
//!
//! A life of the broker ends when the machine reaches the operation at which its power is to be cut, or, in
//! lives that were not given one, by a crash or a kill between two events. Some of these operations lie in
//! the recovery of the life before. The last life is calm: clients finish what they began, everybody reads
//! everything, the whole log is audited, and a clean stop must be worth as much as any sync.

use crate::admin::{Admin, COMPACTED, FLAVOURS, Flavour, SHORT};
use crate::changes::Changer;
use crate::deleter::{Deleter, check_shrunk};
use crate::fetcher::Fetcher;
use crate::groups::Crowd;
use crate::ledger::{End, Ledger};
use crate::luck::Luck;
use crate::machine::{Machine, Stopped, configured};
use crate::producer::{Kind, Producer};
use crate::side::Side;
use crate::txns::{self, Tally, Troupe};
use chronikd::config::BrokerConfig;
use chronikd::disk::sim::Survives;
use std::ops::ControlFlow;

/// Rounds of the calm until everything must have come to rest.
const PATIENCE: usize = 4_000;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// Producers and fetchers.
    Logs,
    /// One of each, and a crowd that has to do with groups.
    Groups,
    /// One of each, and a troupe that has to do with transactions.
    Transactions,
}

/// See the head of this file.
pub struct World {
    luck: Luck,
    machine: Machine,
    ledger: Ledger,
    admin: Admin,
    changers: [Changer; 2],
    /// Records are deleted only where nobody counts on them.
    deleter: Option<Deleter>,
    producers: Vec<Producer>,
    fetchers: Vec<Fetcher>,
    crowd: Option<Crowd>,
    troupe: Option<Troupe>,
    finishing: bool,
}

/// Runs a seed from its first start to its audit. Answers what has happened to its transactions.
pub fn run(seed: u64, cast: Cast) -> Tally {
    let mut world = World::new(seed, cast);
    world.boot();
    world.create_main_topics();
    match cast {
        Cast::Logs => {
            world.create("main5", SHORT);
            world.create("compacted", COMPACTED);
        }
        Cast::Groups => world.gather(),
        Cast::Transactions => world.raise_curtain(),
    }
    let lives = world.luck.between(1, 3);
    for _ in 0..lives {
        world.live();
        world.boot();
    }
    world.calm_down();
    world.audit();
    world.come_to_rest();
    world.stop_and_compare();
    if world.crowd.is_some() {
        world.go_on_and_disperse();
    }
    world.ledger.txns.tally.clone()
}

impl World {
    fn new(seed: u64, cast: Cast) -> World {
        let mut luck = Luck::new(seed);
        let machine = match cast == Cast::Transactions && seed % 3 == 2 {
            true => Machine::with_disk(txns::aged_disk(luck.any()), config(cast, seed).into()),
            false => Machine::new(luck.any(), config(cast, seed)),
        };
        let plain = |luck: &mut Luck| Kind::Plain(luck.pick(&[0, 1, -1]));
        let producer = |number: u64| {
            let kind = if luck.once_in(2) {
                Kind::Idempotent
            } else {
                plain(&mut luck)
            };
            let version = luck.pick(&[3, 5, 7, 8, 9, 10, 11, 12, 13, 13, 13]);
            let batches = luck.between(10, 60);
            Producer::new(number, kind, version, batches)
        };
        let (producers, fetchers) = match cast {
            Cast::Logs => (4, 3),
            Cast::Groups | Cast::Transactions => (1, 1),
        };
        let producers = (1..=producers).map(producer).collect();
        let fetcher = |_| {
            Fetcher::new(
                luck.pick(&[4, 6, 7, 10, 11, 12, 13, 15, 17, 18]),
                luck.once_in(2),
            )
        };
        let fetchers = (0..fetchers).map(fetcher).collect();
        let mut ledger = Ledger::new();
        ledger.has_budget = machine.budget_bytes() > 0;
        World {
            machine,
            ledger,
            admin: Admin::default(),
            changers: [Changer::default(), Changer::onlooker()],
            deleter: (cast == Cast::Logs).then(Deleter::default),
            producers,
            fetchers,
            crowd: None,
            troupe: None,
            finishing: false,
            luck,
        }
    }

    fn side(&mut self) -> Side<'_> {
        Side {
            machine: &mut self.machine,
            ledger: &mut self.ledger,
            luck: &mut self.luck,
        }
    }

    fn cut_off(&mut self) {
        self.admin.cut_off();
        self.changers.iter_mut().for_each(Changer::cut_off);
        self.deleter.iter_mut().for_each(Deleter::cut_off);
        self.producers.iter_mut().for_each(Producer::cut_off);
        self.fetchers.iter_mut().for_each(Fetcher::cut_off);
        self.crowd.iter_mut().for_each(Crowd::cut_off);
        self.troupe.iter_mut().for_each(Troupe::cut_off);
    }

    /// Starts the broker, with cuts in the middle of it now and then.
    fn boot(&mut self) {
        if self.machine.boots > 0 && self.luck.once_in(3) {
            let at = self.luck.below(40) as u64;
            self.machine.cut_at(at);
        }
        loop {
            match self.machine.start(&mut self.ledger) {
                Ok(()) => return,
                Err(Stopped::Power) => self.crash(),
                Err(why) => panic!("the broker does not start: {why}"),
            }
        }
    }

    fn crash(&mut self) {
        let survives = match self.luck.below(8) {
            0 => Survives::Nothing,
            1 => Survives::Everything,
            _ => Survives::Some,
        };
        self.machine.crash(survives);
        self.ledger.ended(End::Power);
        self.cut_off();
    }

    fn create_main_topics(&mut self) {
        for (index, flavour) in FLAVOURS.into_iter().enumerate() {
            if index > 0 && self.luck.once_in(3) {
                continue;
            }
            self.create(&format!("main{index}"), flavour);
        }
    }

    fn create(&mut self, name: &str, flavour: Flavour) {
        let mut side = Side {
            machine: &mut self.machine,
            ledger: &mut self.ledger,
            luck: &mut self.luck,
        };
        let partitions = side.luck.between(1, 2) as i32;
        self.admin.create(&mut side, name, partitions, flavour);
        self.finishing = true;
        self.settle(|world| world.admin.is_idle());
        self.finishing = false;
    }

    /// Copies are written to a topic of any kind where acknowledgements wait for the disk.
    fn raise_curtain(&mut self) {
        let flavour = self.luck.pick(&FLAVOURS[..3]);
        self.create("output", flavour);
        if self.luck.once_in(2) {
            self.create(txns::KEYED, COMPACTED);
        }
        let troupe = Troupe::any(&mut self.side());
        self.troupe = Some(troupe);
    }

    /// A life, up to its end.
    fn live(&mut self) {
        let most = if self.troupe.is_some() { 400 } else { 160 };
        let events = self.luck.between(20, most);
        if self.luck.once_in(4) {
            self.machine.flush_bytes = self.luck.between(1, 400);
        } else {
            self.machine.flush_bytes = usize::MAX;
        }
        let mut ended = ControlFlow::Continue(());
        for event in 0..events {
            if event == events / 2 && self.luck.below(4) > 0 {
                let at = self.machine.disk.operations() + self.luck.below(60) as u64;
                self.machine.cut_at(at);
            }
            ended = self.event();
            if ended.is_break() {
                break;
            }
        }
        if ended.is_continue() && self.takes_long() && self.luck.once_in(4) {
            self.stop();
        } else if ended.is_continue() && self.luck.once_in(3) {
            self.machine.kill();
            self.ledger.ended(End::Kill);
            self.cut_off();
        } else {
            self.crash();
        }
    }

    /// A few things happen, then a turn.
    fn event(&mut self) -> ControlFlow<()> {
        self.step_clients();
        self.deliver();
        let lanes = self.run_lanes();
        self.pass_time();
        if lanes.is_err() {
            return ControlFlow::Break(());
        }
        match self.machine.turn(&mut self.ledger) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Stopped::Power) => ControlFlow::Break(()),
            Err(why) => panic!("the broker has stopped: {why}"),
        }
    }

    fn step_clients(&mut self) {
        if self.takes_long() && self.ledger.stopping {
            return;
        }
        let finishing = self.finishing;
        let mut side = Side {
            machine: &mut self.machine,
            ledger: &mut self.ledger,
            luck: &mut self.luck,
        };
        for producer in &mut self.producers {
            if finishing || side.luck.below(4) > 0 {
                producer.step(&mut side, finishing);
            }
        }
        for fetcher in &mut self.fetchers {
            if finishing || side.luck.once_in(2) {
                fetcher.step(&mut side, finishing);
            }
        }
        if finishing || side.luck.once_in(4) {
            self.admin.step(&mut side, finishing);
        }
        for changer in &mut self.changers {
            if finishing || side.luck.once_in(6) {
                changer.step(&mut side, finishing);
            }
        }
        if let Some(deleter) = &mut self.deleter
            && (finishing || side.luck.once_in(6))
        {
            deleter.step(&mut side, finishing);
        }
        if let Some(crowd) = &mut self.crowd {
            crowd.step(&mut side, finishing);
        }
        if let Some(troupe) = &mut self.troupe {
            troupe.step(&mut side, finishing);
        }
    }

    /// Whether there is somebody whom others wait for, so that time has to pass.
    fn takes_long(&self) -> bool {
        self.crowd.is_some() || self.troupe.is_some()
    }

    fn deliver(&mut self) {
        for id in self.machine.connections() {
            let bytes = match self.luck.below(4) {
                _ if self.finishing => usize::MAX,
                0 => continue,
                1 => self.luck.between(1, 300),
                _ => usize::MAX,
            };
            self.machine.deliver(id, bytes);
        }
    }

    fn run_lanes(&mut self) -> Result<(), Stopped> {
        let steps = match self.luck.below(6) {
            _ if self.finishing => 50,
            0 => 0,
            1..=3 => self.luck.between(1, 4),
            _ => 20,
        };
        for _ in 0..steps {
            if !self.machine.step_sync()? {
                break;
            }
        }
        let jobs = if self.finishing {
            20
        } else {
            self.luck.below(3)
        };
        for _ in 0..jobs {
            self.machine.run_work()?;
        }
        Ok(())
    }

    fn pass_time(&mut self) {
        let ms = match self.luck.below(40) {
            _ if self.takes_long() && self.finishing => self.luck.between(1, 400),
            0 if self.troupe.is_some() => self.luck.between(1, 5_000),
            0 | 1 if self.takes_long() => self.luck.between(1, 20_000),
            0 => 70_000,
            1 | 2 => 1_500,
            3..=20 => self.luck.between(0, 30),
            _ => 1,
        };
        self.machine.pass_ms(ms as i64);
        if !self.takes_long() && !self.finishing && self.luck.once_in(200) {
            self.machine.now.wall_ms -= 60_000;
        }
    }

    /// Goes on without chaos until something holds.
    fn settle(&mut self, mut done: impl FnMut(&mut World) -> bool) {
        for _ in 0..PATIENCE {
            if self.event().is_break() {
                self.crash();
                self.boot();
            }
            if done(self) {
                return;
            }
        }
        panic!(
            "it does not come to rest: {:?} {:?} {:?} {:?} {:?}",
            self.admin, self.producers, self.fetchers, self.crowd, self.troupe
        );
    }

    /// Everybody finishes what was begun, and reads what is there.
    fn calm_down(&mut self) {
        self.finishing = true;
        self.machine.flush_bytes = usize::MAX;
        self.settle(World::is_calm);
    }

    fn is_calm(&mut self) -> bool {
        let mut side = Side {
            machine: &mut self.machine,
            ledger: &mut self.ledger,
            luck: &mut self.luck,
        };
        side.machine.broker().storage.loading() == 0
            && self.admin.is_idle()
            && self.changers.iter().all(Changer::is_idle)
            && self.deleter.iter().all(Deleter::is_idle)
            && self.producers.iter().all(Producer::is_idle)
            && self
                .fetchers
                .iter()
                .all(|fetcher| fetcher.is_idle(&mut side))
            && self.crowd.iter().all(|crowd| crowd.is_calm(&side))
            && self.troupe.iter().all(|troupe| troupe.is_calm(&mut side))
    }

    /// Reads everything from the beginning.
    fn audit(&mut self) {
        let all = self.ledger.partitions();
        loop {
            let auditor = Fetcher::auditor(&all, &mut self.side());
            self.fetchers = vec![auditor];
            let boots = self.machine.boots;
            self.settle(World::is_calm);
            if self.machine.boots == boots {
                break;
            }
        }
        for (at, batches) in self.fetchers.remove(0).into_kept() {
            self.ledger.audit(self.machine.broker(), at, &batches);
        }
        if let Some(mut crowd) = self.crowd.take() {
            crowd.audit(&mut self.side());
            self.crowd = Some(crowd);
            self.settle(World::is_calm);
        }
        while let Some(mut troupe) = self.troupe.take() {
            troupe.audit(&mut self.side());
            self.troupe = Some(troupe);
            let boots = self.machine.boots;
            self.settle(World::is_calm);
            if self.machine.boots > boots {
                continue;
            }
            let troupe = self.troupe.take();
            troupe
                .iter()
                .for_each(|troupe| troupe.check(&mut self.side()));
            self.troupe = troupe;
            break;
        }
    }

    /// While nothing changes, what was deleted leaves the disk and the journal becomes its snapshot, and then nothing
    /// is written any more. In the first of the two waits the cleaner may find something to do.
    fn come_to_rest(&mut self) {
        self.await_quiet();
        if self.deleter.is_some() {
            for _ in 0..2 {
                self.machine.pass_ms(61_000);
                self.await_quiet();
            }
            check_shrunk(&self.machine);
            self.ledger.check_kept(self.machine.broker());
        }
    }

    fn await_quiet(&mut self) {
        const QUIET: usize = 50;
        let (mut operations, mut quiet) = (0, 0);
        self.settle(|world| {
            let now = world.machine.disk.operations();
            quiet = if operations == now { quiet + 1 } else { 0 };
            operations = now;
            let journal = world.machine.journal();
            let has_producers = world.ledger.has_producers();
            let has_features = world.ledger.txns.has_features;
            quiet > QUIET && journal.is_whole(world.machine.broker(), has_producers, has_features)
        });
    }

    /// A clean stop, and then a power cut that takes everything that was not synced.
    fn stop_and_compare(&mut self) {
        self.stop();
        self.producers.clear();
        self.boot();
        self.audit();
    }

    fn stop(&mut self) {
        self.settle(|world| {
            world.machine.begin_stop();
            world.ledger.stopping = true;
            world.machine.is_stopped()
        });
        self.machine.crash(Survives::Nothing);
        self.ledger.ended(End::Clean);
        self.cut_off();
    }

    fn gather(&mut self) {
        let crowd = Crowd::any(&mut self.side());
        self.crowd = Some(crowd);
    }

    fn has_crowd(&mut self, what: impl Fn(&Crowd, &Side<'_>) -> bool) -> bool {
        let crowd = self.crowd.take();
        let has = crowd.iter().all(|crowd| what(crowd, &self.side()));
        self.crowd = crowd;
        has
    }

    /// After a power cut the groups go on as they were. Then everybody goes away, and it is noticed.
    fn go_on_and_disperse(&mut self) {
        let places = self.crowd.as_ref().map(Crowd::places);
        self.machine.crash(Survives::Nothing);
        self.ledger.ended(End::Power);
        self.cut_off();
        self.boot();
        self.settle(|world| world.is_calm() && world.has_crowd(|crowd, _| crowd.is_heard()));
        let now = self.crowd.as_ref().map(Crowd::places);
        assert_eq!(now, places, "a restart has moved somebody");
        if let Some(mut crowd) = self.crowd.take() {
            crowd.vanish(&mut self.side());
            self.crowd = Some(crowd);
        }
        if self.luck.once_in(2) {
            self.crash();
            self.boot();
        }
        self.settle(World::is_calm);
    }
}

/// With groups, the time that a group waits for more members differs; some disks are small; and always, how often the
/// journal is snapshotted.
fn config(cast: Cast, seed: u64) -> BrokerConfig {
    let mut pairs = match cast {
        Cast::Logs => vec![("log.retention.check.interval.ms", 700)],
        Cast::Groups => vec![
            (
                "group.initial.rebalance.delay.ms",
                [0, 0, 300, 3_000][seed as usize % 4],
            ),
            ("offsets.retention.check.interval.ms", 10_000),
        ],
        Cast::Transactions => {
            vec![(
                "transaction.remove.expired.transaction.cleanup.interval.ms",
                3_000,
            )]
        }
    };
    if cast == Cast::Transactions && seed % 5 == 4 {
        pairs.push(("transactional.id.expiration.ms", 20_000));
    }
    if cast != Cast::Groups {
        pairs.push((
            "log.cleaner.backoff.ms",
            [100, 700, 15_000][seed as usize % 3],
        ));
    }
    if cast == Cast::Logs && seed % 4 == 1 {
        let kilobytes = [16, 24, 40][(seed / 4) as usize % 3];
        pairs.push(("chronik.disk.max.bytes", kilobytes << 10));
    }
    // Every transaction journals much, and every snapshot reads a whole file.
    let (entries, intervals_ms) = match cast {
        Cast::Transactions => ([8, 40, 200, 100_000], [5_000, 30_000]),
        Cast::Logs | Cast::Groups => ([2, 7, 30, 100_000], [900, 20_000]),
    };
    pairs.extend([
        (
            "chronik.journal.snapshot.entries",
            entries[(seed / 4) as usize % 4],
        ),
        (
            "chronik.journal.snapshot.interval.ms",
            intervals_ms[(seed / 16) as usize % 2],
        ),
        ("chronik.journal.snapshot.bytes", 1 << 20),
    ]);
    configured(&pairs)
}
