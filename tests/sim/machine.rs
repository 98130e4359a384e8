//! A machine: a disk, a clock, sockets without a network, and a broker while there is power.
//!
//! Nothing happens by itself. Bytes move when they are delivered, the lanes run when they are stepped, and
//! after every turn the broker and the exchange are held against their own invariants. When the power is cut
//! in the middle of an operation, nothing leaves the machine any more, whatever the turn still does.

use crate::call::{self, Reply};
use crate::journal::Footprint;
use crate::ledger::Ledger;
use crate::traced::Traced;
use chronikd::api::Peer;
use chronikd::broker::txns::Init;
use chronikd::broker::wait::ConnId;
use chronikd::broker::{Broker, OpenError, Seeds, Worked, home};
use chronikd::clock::{Mono, Now};
use chronikd::config::{Amount, BrokerConfig, Origin, Settings};
use chronikd::disk::sim::{SimDisk, SimLanes, Survives};
use chronikd::disk::{Disk, Entry};
use chronikd::net::exchange::{Fate, Part};
use chronikd::net::{Exchange, Limits};
use chronikd::proto::{ApiKey, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

/// The data directory.
pub const ROOT: &str = "/data";
/// 2027: what the wall clock shows at first.
const WALL_MS: i64 = 1_800_000_000_000;
/// More than a turn is allowed to leave.
const SLICES: usize = 64;

/// Why the broker does not run any more.
#[derive(Debug)]
pub enum Stopped {
    /// The power was cut.
    Power,
    /// It could not start.
    Open(OpenError),
    /// It said that it must stop.
    Fatal(std::io::Error),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Power => write!(f, "the power was cut"),
            Stopped::Open(why) => write!(f, "it cannot start: {why:?}"),
            Stopped::Fatal(why) => write!(f, "it must stop: {why}"),
        }
    }
}

/// The peer's side of a connection.
#[derive(Default)]
struct Socket {
    /// Sent, and not yet with the broker.
    outward: VecDeque<u8>,
    /// From the broker, and not yet taken.
    inward: Vec<u8>,
    /// Requests that are to be answered.
    asked: VecDeque<(i32, ApiKey, i16)>,
    correlation: i32,
    /// The broker does not want bytes until it says so.
    paused: bool,
    /// No byte will follow those in `outward`.
    finished: bool,
    /// The broker has been told so.
    told: bool,
    /// The broker has closed its half.
    closed: bool,
    /// When bytes last moved.
    active: Mono,
}

struct Running {
    exchange: Exchange<Broker>,
    lanes: SimLanes<Worked>,
    /// Bytes of all segments when all partitions were loaded.
    loaded_bytes: Option<u64>,
    sockets: BTreeMap<ConnId, Socket>,
}

/// See the head of this file.
pub struct Machine {
    /// Its disk.
    pub disk: SimDisk,
    /// Its clocks.
    pub now: Now,
    /// How much one flush moves at most.
    pub flush_bytes: usize,
    /// How often it was started.
    pub boots: u64,
    traced: Arc<Traced>,
    config: Arc<BrokerConfig>,
    cut: Option<u64>,
    running: Option<Running>,
}

/// The defaults, but for these.
pub fn configured(pairs: &[(&str, i64)]) -> BrokerConfig {
    let mut settings = Settings::default();
    for (name, value) in pairs {
        settings.set(name, &value.to_string(), Origin::CommandLine);
    }
    BrokerConfig::new(settings).expect("settings that may be")
}

impl Machine {
    /// A machine that is off, with an empty data directory.
    pub fn new(seed: u64, config: BrokerConfig) -> Machine {
        Machine::with_disk(SimDisk::new(seed, Path::new(ROOT)), Arc::new(config))
    }

    /// A machine that is off, with that disk.
    pub fn with_disk(disk: SimDisk, config: Arc<BrokerConfig>) -> Machine {
        Machine {
            traced: Arc::new(Traced::new(disk.clone())),
            disk,
            now: Now {
                mono: Mono(1),
                wall_ms: WALL_MS,
            },
            flush_bytes: usize::MAX,
            boots: 0,
            config,
            cut: None,
            running: None,
        }
    }

    /// Another machine, off, with a copy of this one's disk.
    pub fn fork(&self, seed: u64) -> Machine {
        let mut fork = Machine::with_disk(self.disk.fork(seed), Arc::clone(&self.config));
        fork.now.wall_ms = self.now.wall_ms;
        fork.boots = self.boots;
        fork
    }

    /// How the broker is configured.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// What all logs together may take; 0 is without a limit.
    pub fn budget_bytes(&self) -> u64 {
        match self.config.storage.disk_max_bytes {
            Amount::Bytes(bytes) => bytes,
            Amount::Percent(_) => 0,
        }
    }

    /// Bytes of all segments, and of those that have lost their names.
    pub fn segment_bytes(&self) -> (u64, u64) {
        let root = Path::new(ROOT);
        let dirs = self.disk.list(root).expect("the data directory");
        let is_partition = |entry: &Entry| entry.is_dir && entry.name != "quarantine";
        let dirs = dirs.into_iter().filter(is_partition);
        let files = dirs.flat_map(|dir| self.disk.list(&root.join(dir.name)).expect("a listing"));
        files.fold((0, 0), |(named, deleted), file| {
            match file.name.rsplit_once(".log") {
                Some((_, "")) => (named + file.len, deleted),
                Some((_, ".deleted")) => (named, deleted + file.len),
                _ => (named, deleted),
            }
        })
    }

    /// The logs never take more than they may, or than they had when all of them were loaded: until then the broker
    /// does not know of all. What compaction has replaced may still be there beside that.
    fn check_budget(&mut self) {
        let budget_bytes = self.budget_bytes();
        if budget_bytes == 0 || self.broker().storage.loading() > 0 {
            return;
        }
        let (bytes, _) = self.segment_bytes();
        let loaded_bytes = *self.running_mut().loaded_bytes.get_or_insert(bytes);
        let most_bytes = budget_bytes.max(loaded_bytes);
        assert!(
            bytes <= most_bytes,
            "{bytes} bytes of {budget_bytes}; there were {loaded_bytes} at the start"
        );
    }

    /// Cuts the power at this operation, counted from the last start.
    pub fn cut_at(&mut self, operation: u64) {
        self.disk.cut_at(operation);
        self.cut = Some(operation);
    }

    /// Makes the disk so small that just this much can still be written.
    pub fn leave_bytes(&self, bytes: u64) {
        const ENOUGH: u64 = 1 << 40;
        self.disk.set_capacity(Some(ENOUGH));
        let free = self
            .disk
            .free_bytes(Path::new(ROOT))
            .expect("a disk that is whole");
        self.disk.set_capacity(Some(ENOUGH - free + bytes));
    }

    /// What the operation of that number was.
    pub fn describe(&self, operation: u64) -> String {
        self.traced.describe(operation)
    }

    /// What the journal takes on the disk.
    pub fn journal(&self) -> Footprint {
        Footprint::of(&self.disk)
    }

    fn has_power(&self) -> bool {
        self.cut.is_none_or(|cut| self.disk.operations() <= cut)
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.running().exchange.core
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a broker that runs")
    }

    fn running_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("a broker that runs")
    }

    /// Power failure, with what it leaves; the machine is off.
    pub fn crash(&mut self, survives: Survives) {
        self.switch_off();
        self.disk.crash(survives);
    }

    /// The process dies, the machine does not; no broker runs.
    pub fn kill(&mut self) {
        self.switch_off();
        self.disk.kill();
    }

    fn switch_off(&mut self) {
        self.running = None;
        self.cut = None;
        self.traced.clear();
    }

    /// Starts the broker. Its monotonic clock begins anew.
    pub fn start(&mut self, ledger: &mut Ledger) -> Result<(), Stopped> {
        self.boots += 1;
        self.now.mono = Mono(1);
        let disk: Arc<dyn Disk> = Arc::clone(&self.traced) as Arc<dyn Disk>;
        let seed = self.disk.draw(u64::MAX) ^ (self.boots << 40);
        let seeds = Seeds {
            ids: seed,
            salt: !seed,
            keys: seed.rotate_left(32),
        };
        // As the daemon does it: whatever a crash has left must pass for a directory of ours.
        let opened = home::examine(&*disk, Path::new(ROOT), &[]).and_then(|_| {
            let config = Arc::clone(&self.config);
            Broker::open(disk, Path::new(ROOT), config, seeds, self.now)
        });
        if !self.has_power() {
            return Err(Stopped::Power);
        }
        let broker = opened.map_err(Stopped::Open)?;
        ledger.opened(&broker);
        let lanes = SimLanes::new(&self.disk);
        let limits = Limits {
            turn_requests: 4,
            ..Limits::default()
        };
        self.running = Some(Running {
            exchange: Exchange::new(broker, Box::new(lanes.clone()), limits),
            lanes,
            loaded_bytes: None,
            sockets: BTreeMap::new(),
        });
        Ok(())
    }

    /// One turn, and everything that its checks demand; then what may leave, leaves.
    pub fn turn(&mut self, ledger: &mut Ledger) -> Result<(), Stopped> {
        let now = self.now;
        ledger.turning();
        for part in Part::ALL {
            let result = self.running_mut().exchange.step(part, now);
            if !self.has_power() {
                return Err(Stopped::Power);
            }
            result.map_err(|fatal| Stopped::Fatal(fatal.0))?;
            if part == Part::Absorb {
                ledger.absorbed(self.broker());
            }
        }
        self.running().exchange.check_invariants(now.mono);
        self.broker().check_invariants();
        ledger.turned(self.broker(), now);
        self.check_budget();
        // A job that is under way, or that has failed, has more in hand.
        if !ledger.faulty && !self.has_work() {
            let limit_bytes = self.config.chronik_journal_snapshot_bytes;
            self.journal().check(limit_bytes);
        }
        self.flush();
        Ok(())
    }

    fn flush(&mut self) {
        let (now, limit) = (self.now.mono, self.flush_bytes);
        let running = self.running_mut();
        let mut touched = Vec::new();
        running.exchange.take_touched(&mut touched);
        for id in &touched {
            if let Some(socket) = running.sockets.get_mut(id) {
                socket.paused = false;
            }
        }
        let all: Vec<ConnId> = running.sockets.keys().copied().collect();
        for id in all {
            running.flush(now, id, limit);
        }
    }

    /// Runs one operation of the round in flight; `false` if there is none.
    pub fn step_sync(&mut self) -> Result<bool, Stopped> {
        let any = self.running().lanes.step_sync();
        if self.has_power() {
            Ok(any)
        } else {
            Err(Stopped::Power)
        }
    }

    /// Runs the next job of the work lane; `false` if there is none.
    pub fn run_work(&mut self) -> Result<bool, Stopped> {
        let any = self.running().lanes.run_work();
        if self.has_power() {
            Ok(any)
        } else {
            Err(Stopped::Power)
        }
    }

    /// Whether anything is left for the lanes.
    pub fn has_work(&self) -> bool {
        let pending = self.running().lanes.pending();
        pending.sync_steps + pending.jobs > 0
    }

    /// Time passes.
    pub fn pass_ms(&mut self, ms: i64) {
        self.now.mono = self.now.mono.plus_ms(ms);
        self.now.wall_ms += ms;
    }

    /// A transactional producer is initialized so many times, past the network. Answers the last epoch.
    pub fn initialize(&mut self, ask: &Init<'_>, count: i16) -> i16 {
        let now = self.now;
        let broker = &mut self.running_mut().exchange.core;
        let given = (0..count).map(|_| broker.init_transactions(ask, now).answer);
        given.last().expect("a first time").expect("an epoch").epoch
    }

    /// Begins the clean stop.
    pub fn begin_stop(&mut self) {
        let now = self.now.mono;
        self.running_mut().exchange.begin_stop(now);
    }

    /// Whether the clean stop is complete.
    pub fn is_stopped(&self) -> bool {
        self.running().exchange.is_stopped()
    }
}

/// The network.
impl Machine {
    /// A new connection.
    pub fn connect(&mut self) -> ConnId {
        let now = self.now.mono;
        let running = self.running_mut();
        let id = running.exchange.open(now, |conn| Peer {
            conn,
            listener: "PLAINTEXT".into(),
            remote: ([127, 0, 0, 1], 50_000).into(),
            local: ([127, 0, 0, 1], 9092).into(),
            principal: "User:ANONYMOUS".into(),
            software: None,
        });
        let socket = Socket {
            active: now,
            ..Socket::default()
        };
        running.sockets.insert(id, socket);
        id
    }

    /// Sends a request; it leaves byte by byte. Answers its correlation id.
    pub fn ask<'a, T: Wire<'a>>(
        &mut self,
        id: ConnId,
        api: ApiKey,
        version: i16,
        body: &T,
        is_answered: bool,
    ) -> i32 {
        let socket = self.socket(id);
        socket.correlation += 1;
        let correlation = socket.correlation;
        socket
            .outward
            .extend(call::frame(api, version, correlation, body));
        if is_answered {
            socket.asked.push_back((correlation, api, version));
        }
        correlation
    }

    fn socket(&mut self, id: ConnId) -> &mut Socket {
        let sockets = &mut self.running_mut().sockets;
        sockets.get_mut(&id).expect("a connection that is there")
    }

    /// The connections.
    pub fn connections(&self) -> Vec<ConnId> {
        self.running().sockets.keys().copied().collect()
    }

    /// Whether the broker can still answer on this connection.
    pub fn is_open(&self, id: ConnId) -> bool {
        let socket = self.running().sockets.get(&id);
        socket.is_some_and(|socket| !socket.closed)
    }

    /// Whether the broker may close this connection because nothing moves on it.
    pub fn is_idle(&self, id: ConnId) -> bool {
        let idle_ms = self.running().exchange.limits().idle_ms;
        let socket = self.running().sockets.get(&id);
        socket.is_some_and(|socket| socket.active.plus_ms(idle_ms) <= self.now.mono)
    }

    /// Moves up to so many bytes to the broker, if it wants any. Answers how many.
    pub fn deliver(&mut self, id: ConnId, bytes: usize) -> usize {
        let now = self.now.mono;
        self.running_mut().deliver(now, id, bytes)
    }

    /// The peer goes away at once.
    pub fn drop_connection(&mut self, id: ConnId) {
        let running = self.running_mut();
        if running.sockets.remove(&id).is_some() {
            running.exchange.close(id);
        }
    }

    /// The peer will send nothing more, and goes on listening.
    pub fn finish(&mut self, id: ConnId) {
        self.socket(id).finished = true;
    }

    /// The responses that have arrived: in the order of the requests, each once, nothing else.
    pub fn take_replies(&mut self, id: ConnId) -> Vec<Reply> {
        let Some(socket) = self.running_mut().sockets.get_mut(&id) else {
            return Vec::new();
        };
        let mut replies = Vec::new();
        while let Some((length, rest)) = socket.inward.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some(frame) = rest.get(..length) else {
                break;
            };
            let asked = socket.asked.pop_front();
            let (correlation, api, version) = asked.expect("a response that was asked for");
            let (found, body) = call::split_response(api, version, frame);
            assert_eq!(
                found, correlation,
                "responses come in the order of requests"
            );
            socket.inward.drain(..4 + length);
            replies.push(Reply {
                correlation,
                api,
                version,
                body,
            });
        }
        replies
    }
}

impl Running {
    fn deliver(&mut self, now: Mono, id: ConnId, bytes: usize) -> usize {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return 0;
        };
        if socket.paused || socket.told {
            return 0;
        }
        if !self.exchange.may_read(id) {
            socket.paused = true;
            return 0;
        }
        let count = bytes.min(socket.outward.len());
        if count > 0 {
            let space = self.exchange.space(id);
            let count = count.min(space.len());
            let bytes: Vec<u8> = socket.outward.drain(..count).collect();
            space[..count].copy_from_slice(&bytes);
            self.exchange.filled(now, id, count);
            socket.active = now;
        }
        if socket.finished && socket.outward.is_empty() {
            socket.told = true;
            self.exchange.ended(now, id);
        }
        count
    }

    fn flush(&mut self, now: Mono, id: ConnId, limit: usize) {
        let Some(socket) = self.sockets.get_mut(&id) else {
            return;
        };
        let mut left = limit;
        while left > 0 && self.exchange.is_flushable(id) {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let (count, found) = self.exchange.gather(id, left, &mut slices);
            assert!(
                count > 0 && found > 0,
                "what can be flushed can be gathered"
            );
            let take = found.min(left);
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|s| s.iter().copied())
                .collect();
            socket.inward.extend_from_slice(&bytes[..take]);
            self.exchange.sent(now, id, take);
            left -= take;
            socket.active = now;
        }
        match self.exchange.fate(id) {
            Fate::Stay => {}
            Fate::Finish => {
                socket.closed = true;
                self.exchange.fin_sent(now, id);
            }
            Fate::Close => {
                socket.closed = true;
                self.exchange.close(id);
            }
        }
    }
}
