//! What is known of each group: what the broker's memory shows after every turn, and what members were told.
//!
//! A **seat** is a place in a group: a static member's instance id, or the member id of any other. Whoever takes a
//! static member's place takes its seat, so a generation is a set of seats.
//!
//! * A generation never falls while the broker lives, and always means the same seats.
//! * Of a generation there is one plan, and every seat has its part of it, byte for byte, as its leader wrote it.
//! * What is settled, which is all of a group that the journal has, is a [`Register`].

use super::offsets::Offsets;
use super::register::Register;
use crate::call::CLIENT;
use crate::ledger::State;
use crate::txns;
use chronikd::broker::Broker;
use chronikd::broker::groups::{Group, Phase};
use chronikd::clock::{Mono, Now};
use chronikd::proto::Uuid;
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, BTreeSet};

/// The longest time that any client lets a rebalance wait.
pub const MAX_REBALANCE_MS: i32 = 40_000;
/// The shortest session that the broker allows.
const MIN_SESSION_MS: i64 = 6_000;
/// What begins every assignment of ours; its plan's number follows.
const PLAN: &[u8] = b"plan";

/// The seat of a member.
pub fn seat<'a>(member_id: &'a str, instance: Option<&'a str>) -> &'a str {
    instance.unwrap_or(member_id)
}

/// The seat of the member of that id: an id is the instance id, or the client's name, and a UUID.
pub fn seat_of(member_id: &str) -> &str {
    const UUID_CHARS: usize = 36;
    let name = member_id.len().checked_sub(UUID_CHARS + 1);
    match name.and_then(|end| member_id.get(..end)) {
        None | Some("") | Some(CLIENT) => member_id,
        Some(instance) => instance,
    }
}

/// A member of a settled generation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seated {
    instance: Option<String>,
    sessions_ms: (i32, i32),
    metadata: Vec<u8>,
    assignment: Vec<u8>,
}

/// All that the journal knows of a group but its offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settled {
    generation: i32,
    protocol: Option<(String, String)>,
    leader: Option<String>,
    members: BTreeMap<String, Seated>,
}

/// What a leader has sent.
#[derive(Clone, Debug)]
struct Plan {
    group: String,
    generation: i32,
    parts: BTreeMap<String, Vec<u8>>,
}

/// What a group does, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Preparing,
    Completing,
    Resting,
}

#[derive(Clone, Debug)]
struct Page {
    settled: Register<Settled>,
    offsets: Offsets,
    /// The highest generation of this life, and whether it has members.
    generation: i32,
    is_empty: bool,
    doing: (Doing, Mono),
    /// When it was last begun anew with generation 1, after it was gone.
    reborn: Mono,
    /// Something may have been settled and given up in one turn, so that it was never seen.
    has_hidden: bool,
    /// The seats of each generation that has begun in this life.
    seats: BTreeMap<i32, BTreeSet<String>>,
    /// The plan of each, and when it began.
    plans: BTreeMap<i32, u64>,
    begun: BTreeMap<i32, Mono>,
    /// In this life somebody has asked to join or to leave.
    is_stirred: bool,
    /// In this life somebody has asked to delete it.
    is_condemned: bool,
    /// Seats that somebody else has asked to remove, or to take.
    disputed: BTreeSet<String>,
    /// The member ids with which this life began.
    opened: BTreeSet<String>,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pages: BTreeMap<String, Page>,
    plans: BTreeMap<u64, Plan>,
    /// What members have said of themselves, by protocol.
    said: BTreeSet<(String, Vec<u8>)>,
    next: u64,
    /// A turn has begun and not come to its end: what it did has not been seen.
    is_blind: bool,
    is_stopping: bool,
}

impl Page {
    fn new() -> Page {
        Page {
            settled: Register::new(Settled::default()),
            offsets: Offsets::default(),
            generation: 0,
            is_empty: true,
            doing: (Doing::Resting, Mono(0)),
            reborn: Mono(0),
            has_hidden: false,
            seats: BTreeMap::new(),
            plans: BTreeMap::new(),
            begun: BTreeMap::new(),
            is_stirred: false,
            is_condemned: false,
            disputed: BTreeSet::new(),
            opened: BTreeSet::new(),
        }
    }
}

/// What memory shows.
impl Book {
    /// A number that nothing else has.
    pub fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn page(&mut self, group: &str) -> &mut Page {
        let id = group.to_owned();
        self.pages.entry(id).or_insert_with(Page::new)
    }

    /// The offsets of a group.
    pub fn offsets(&mut self, group: &str) -> &mut Offsets {
        &mut self.page(group).offsets
    }

    /// The names of the groups that anybody has asked for.
    pub fn names(&self) -> Vec<String> {
        self.pages.keys().cloned().collect()
    }

    fn meet(&mut self, broker: &Broker) {
        let all = broker.groups().iter();
        for group in all.filter(|group| !txns::has_group(&group.id)) {
            self.page(&group.id);
        }
    }

    /// A turn begins: until it has ended, nobody has seen what it does. While the broker stops, nothing is due.
    pub fn turning(&mut self, is_stopping: bool) {
        (self.is_blind, self.is_stopping) = (true, is_stopping);
    }

    /// The stop was clean: everything that memory had is durable.
    pub fn stopped_cleanly(&mut self) {
        for page in self.pages.values_mut() {
            page.settled.promised_all();
            page.offsets.promised_all();
        }
    }

    /// A life has begun.
    pub fn opened(&mut self, broker: &Broker, state: &impl Fn(Uuid) -> State) {
        let is_blind = std::mem::take(&mut self.is_blind);
        self.meet(broker);
        for (name, page) in &mut self.pages {
            let group = broker.groups().get(name);
            let is_settled = |g: &Group| matches!(g.phase, Phase::Stable | Phase::Empty);
            assert!(group.is_none_or(is_settled), "{name} begins in a rebalance");
            let settled = group.map(Settled::of).unwrap_or_default();
            let oldest = page.settled.oldest_promised();
            let is_newer = settled.generation >= oldest.generation || page.is_condemned;
            let title = format!("group {name:?}");
            let may_be_unseen = is_newer && (is_blind || page.has_hidden);
            page.settled.reopen(&title, settled, may_be_unseen);
            page.offsets.reopen(name, group, is_blind, state);
            page.begin_life();
        }
    }

    /// After every turn.
    pub fn turned(&mut self, broker: &Broker, now: Now, state: &impl Fn(Uuid) -> State) {
        self.is_blind = false;
        self.meet(broker);
        for (name, page) in &mut self.pages {
            let group = broker.groups().get(name);
            page.turned(name, group, now.mono);
            if let Some(group) = group.filter(|_| !self.is_stopping) {
                page.check_times(name, group, now.mono);
            }
            page.offsets.turned(name, group, now, state);
            if let Some(group) = group {
                page.check_plan(group, &self.plans);
            }
        }
    }
}

impl Page {
    /// Generations that nobody has settled may be given again, to others.
    fn begin_life(&mut self) {
        let settled = self.settled.newest();
        let generation = settled.generation;
        let seats = settled.seats();
        self.plans.retain(|of, _| *of == generation);
        self.seats = BTreeMap::from([(generation, seats)]);
        self.opened = settled.members.keys().cloned().collect();
        (self.generation, self.is_empty) = (generation, settled.members.is_empty());
        (self.doing, self.has_hidden) = ((Doing::Resting, Mono(1)), false);
        self.reborn = Mono(0);
        self.begun.clear();
        self.disputed.clear();
        (self.is_stirred, self.is_condemned) = (false, false);
    }

    fn turned(&mut self, name: &str, group: Option<&Group>, now: Mono) {
        let generation = group.map_or(0, |group| group.generation_id);
        if generation < self.generation {
            // Who becomes empty and has no offsets may be gone in the same turn; its members would tell otherwise.
            assert!(
                self.is_empty || self.is_condemned || group.is_none(),
                "generation {} of {name} is followed by {generation}",
                self.generation
            );
            self.seats.clear();
            self.plans.clear();
            self.begun.clear();
            self.reborn = now;
        }
        let doing = group.map_or(Doing::Resting, Doing::of);
        let is_same = doing == self.doing.0 && generation == self.generation;
        self.has_hidden |= doing != Doing::Resting && !is_same && !self.is_plain(group, doing);
        self.doing = (doing, if is_same { self.doing.1 } else { now });
        self.generation = generation;
        self.is_empty = group.is_none_or(|group| group.members.is_empty());
        if doing == Doing::Resting {
            let settled = group.map(Settled::of).unwrap_or_default();
            self.settled.see(settled);
        } else {
            let may_rebalance = self.is_stirred || now >= Mono(1).plus_ms(MIN_SESSION_MS);
            assert!(may_rebalance, "{name} rebalances, and nobody has asked");
        }
        if let Some(group) = group {
            self.check_seats(name, group, now);
        }
    }

    /// Whether the turn that has led to this cannot have settled anything.
    fn is_plain(&self, group: Option<&Group>, doing: Doing) -> bool {
        let Some(group) = group else {
            return false;
        };
        let ids = self.settled.newest().members.iter();
        let mut holders = ids.filter(|(_, seated)| seated.instance.is_some());
        let is_replaced = holders.any(|(id, _)| !group.members.contains_key(&**id));
        let is_next = group.generation_id == self.generation + 1;
        match (self.doing.0, doing) {
            (Doing::Resting, Doing::Preparing) => !is_replaced && !is_next,
            (Doing::Resting, Doing::Completing) => !is_replaced && is_next,
            (Doing::Preparing, Doing::Completing) => is_next,
            _ => false,
        }
    }

    /// Nobody is waited for longer than members allow.
    fn check_times(&self, name: &str, group: &Group, now: Mono) {
        let until = match group.phase {
            Phase::PreparingRebalance { until, .. } => until,
            Phase::CompletingRebalance => self.doing.1.plus_ms(MAX_REBALANCE_MS.into()),
            Phase::Empty | Phase::Stable => return,
        };
        let latest = now.plus_ms(MAX_REBALANCE_MS.into());
        assert!(now < until && until <= latest, "{name} waits too long");
    }

    /// A generation that has begun always has the same seats.
    fn check_seats(&mut self, name: &str, group: &Group, now: Mono) {
        if matches!(group.phase, Phase::PreparingRebalance { .. }) {
            return;
        }
        let found: BTreeSet<String> = Settled::of(group).seats();
        let generation = group.generation_id;
        let seats = self
            .seats
            .entry(generation)
            .or_insert_with(|| found.clone());
        assert_eq!(*seats, found, "generation {generation} of {name} changes");
        self.begun.entry(generation).or_insert(now);
    }

    /// Every assignment of a stable group comes from the one plan of its generation.
    fn check_plan(&mut self, group: &Group, plans: &BTreeMap<u64, Plan>) {
        if group.phase != Phase::Stable {
            return;
        }
        for (id, member) in group.members.iter() {
            let seat = seat(id, member.group_instance_id.as_deref());
            self.check_part(group.generation_id, seat, &member.assignment, plans);
        }
    }

    fn check_part(
        &mut self,
        generation: i32,
        seat: &str,
        part: &[u8],
        plans: &BTreeMap<u64, Plan>,
    ) {
        if let Some(number) = plan_of(part) {
            let plan = *self.plans.entry(generation).or_insert(number);
            assert_eq!(plan, number, "two plans for generation {generation}");
        }
        let Some(plan) = self.plans.get(&generation) else {
            assert!(part.is_empty(), "an assignment that nobody has made");
            return;
        };
        let plan = &plans[plan];
        assert_eq!(
            plan.generation, generation,
            "the plan of another generation"
        );
        let planned = plan.parts.get(seat).map_or(&[][..], |part| part);
        assert_eq!(planned, part, "the assignment of {seat} in {}", plan.group);
    }
}

impl Settled {
    fn of(group: &Group) -> Settled {
        let name = group.protocol_name.as_deref().unwrap_or_default();
        let seated = |(id, member): (&std::sync::Arc<str>, &_)| {
            let member: &chronikd::broker::groups::Member = member;
            let seated = Seated {
                instance: member.group_instance_id.as_deref().map(str::to_owned),
                sessions_ms: (member.session_timeout_ms, member.rebalance_timeout_ms),
                metadata: member.metadata(name).to_vec(),
                assignment: member.assignment.to_vec(),
            };
            (id.to_string(), seated)
        };
        let kind = group.protocol_type.as_deref().unwrap_or_default();
        Settled {
            generation: group.generation_id,
            protocol: (!group.members.is_empty()).then(|| (kind.to_owned(), name.to_owned())),
            leader: group.leader.as_deref().map(str::to_owned),
            members: group.members.iter().map(seated).collect(),
        }
    }

    fn seats(&self) -> BTreeSet<String> {
        let seats = self.members.iter();
        seats
            .map(|(id, of)| seat(id, of.instance.as_deref()).to_owned())
            .collect()
    }
}

impl Doing {
    fn of(group: &Group) -> Doing {
        match group.phase {
            Phase::PreparingRebalance { .. } => Doing::Preparing,
            Phase::CompletingRebalance => Doing::Completing,
            Phase::Stable | Phase::Empty => Doing::Resting,
        }
    }
}

/// The number of the plan that an assignment belongs to; none of an empty one.
fn plan_of(part: &[u8]) -> Option<u64> {
    if part.is_empty() {
        return None;
    }
    let number = part.strip_prefix(PLAN).and_then(|rest| rest.first_chunk());
    Some(u64::from_be_bytes(*number.expect("an assignment of ours")))
}

/// What members ask, and what they are told.
impl Book {
    /// The place of what is settled now.
    pub fn mark(&mut self, group: &str) -> usize {
        self.page(group).settled.mark()
    }

    /// Anything was answered about the group that was asked at this mark: what was settled then is durable.
    pub fn answered(&mut self, group: &str, mark: usize) {
        self.page(group).settled.promised(mark);
    }

    /// Somebody asks to join or to leave.
    pub fn stirring(&mut self, group: &str) {
        self.page(group).is_stirred = true;
    }

    /// Somebody asks to take this seat from whoever has it.
    pub fn disputing(&mut self, group: &str, seat: &str) {
        self.page(group).disputed.insert(seat.to_owned());
    }

    /// Somebody asks to delete the group.
    pub fn condemning(&mut self, group: &str) {
        self.page(group).is_condemned = true;
        self.page(group).offsets.condemn();
    }

    /// Whether somebody has asked to delete it in this life, and with it the ids that wait for their members.
    pub fn is_condemned(&mut self, group: &str) -> bool {
        self.page(group).is_condemned
    }

    /// Whether the group was gone, and begun anew, after that moment.
    pub fn is_reborn(&mut self, group: &str, since: Mono) -> bool {
        since <= self.page(group).reborn
    }

    /// A member says this of itself.
    pub fn saying(&mut self, protocol: &str, metadata: &[u8]) {
        self.said.insert((protocol.to_owned(), metadata.to_vec()));
    }

    /// Whether anybody has said this.
    pub fn was_said(&self, protocol: &str, metadata: &[u8]) -> bool {
        self.said
            .contains(&(protocol.to_owned(), metadata.to_vec()))
    }

    /// A leader shares out a generation: what it sends, by seat. `None` is left out of it.
    pub fn plan(
        &mut self,
        group: &str,
        generation: i32,
        sizes: &[(String, Option<usize>)],
    ) -> BTreeMap<String, Vec<u8>> {
        let number = self.fresh();
        let mut parts = BTreeMap::new();
        for (seat, size) in sizes {
            let Some(size) = *size else { continue };
            let mut part = [PLAN, &number.to_be_bytes(), seat.as_bytes()].concat();
            part.resize(part.len() + size, number as u8);
            parts.insert(seat.clone(), part);
        }
        let plan = Plan {
            group: group.to_owned(),
            generation,
            parts: parts.clone(),
        };
        self.plans.insert(number, plan);
        parts
    }

    /// A member that asked then was told that it is in a generation; the leader, with whom. Answers since when.
    pub fn joined(
        &mut self,
        group: &str,
        (generation, asked): (i32, Mono),
        own_seat: &str,
        told: Option<BTreeSet<String>>,
    ) -> Mono {
        let page = self.page(group);
        if asked <= page.reborn {
            return Mono(0);
        }
        if let Some(told) = told {
            let seats = page.seats.entry(generation).or_insert_with(|| told.clone());
            assert_eq!(*seats, told, "generation {generation} of {group} is two");
        }
        if let Some(seats) = page.seats.get(&generation) {
            assert!(
                seats.contains(own_seat),
                "{own_seat} is not one of generation {generation} of {group}"
            );
        }
        page.begun.get(&generation).copied().unwrap_or_default()
    }

    /// A member that asked then was told its assignment.
    pub fn synced(
        &mut self,
        group: &str,
        (generation, asked): (i32, Mono),
        seat: &str,
        part: &[u8],
    ) {
        let id = group.to_owned();
        let page = self.pages.entry(id).or_insert_with(Page::new);
        if asked <= page.reborn {
            return;
        }
        page.check_part(generation, seat, part, &self.plans);
        let has_it = |settled: &Settled| settled.generation == generation;
        if let Some(place) = page.settled.find(0, has_it) {
            page.settled.promised(place);
        }
    }

    /// Whether the member has been thrown out with reason: its session, or the time to join again, has passed since it
    /// was heard (`heard` in the present life, or none), or somebody has asked for it.
    pub fn may_be_out(
        &mut self,
        group: &str,
        (member_id, seat): (&str, &str),
        heard: Option<Mono>,
        patience_ms: i32,
        now: Mono,
    ) -> bool {
        let page = self.page(group);
        if page.disputed.contains(seat) || (heard.is_none() && !page.opened.contains(member_id)) {
            return true;
        }
        now >= heard.unwrap_or(Mono(1)).plus_ms(patience_ms.into())
    }

    /// The broker says that the group, and with it the offsets of these marks, is deleted.
    pub fn deleted(&mut self, group: &str, mark: usize, offsets: &BTreeMap<PartitionId, usize>) {
        let page = self.page(group);
        let place = page
            .settled
            .find(mark, |settled| *settled == Settled::default());
        page.settled.promised(place.unwrap_or(mark));
        page.offsets.deleted(offsets);
    }
}
