//! A member of a group: a client that joins, shares out or is given work, says that it lives, commits, and goes.
//!
//! It may be slow, die at any time and come back as somebody new, or as the same static member; it may change what it
//! says of itself. Now and then it speaks as whom it was before, and must not be obeyed.

use super::asks::{self, Commit, Question};
use super::book::{MAX_REBALANCE_MS, seat};
use super::talk;
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::groups::Phase;
use chronikd::broker::wait::ConnId;
use chronikd::clock::Mono;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::heartbeat::HeartbeatResponse;
use chronikd::proto::schema::join_group::JoinGroupResponse;
use chronikd::proto::schema::leave_group::LeaveGroupResponse;
use chronikd::proto::schema::sync_group::SyncGroupResponse;
use chronikd::storage::PartitionId;
use std::collections::{BTreeSet, VecDeque};

/// Sessions that members ask for, and how long they let a rebalance wait.
const SESSIONS_MS: [i32; 4] = [6_000, 10_000, 15_000, 30_000];
const REBALANCES_MS: [i32; 4] = [3_000, 8_000, 20_000, MAX_REBALANCE_MS];

/// In which versions a member speaks.
#[derive(Clone, Copy, Debug)]
pub struct Versions {
    /// JoinGroup.
    pub join: i16,
    /// SyncGroup.
    pub sync: i16,
    /// Heartbeat.
    pub heartbeat: i16,
    /// LeaveGroup.
    pub leave: i16,
    /// OffsetCommit.
    pub commit: i16,
    /// OffsetFetch.
    pub fetch: i16,
}

/// Who a member is, and what it asks for.
#[derive(Clone, Debug)]
pub struct Character {
    /// No other client has it.
    pub number: u64,
    /// Its group.
    pub group: &'static str,
    /// The group's type of protocol.
    pub kind: &'static str,
    /// Static members have one; two clients may have the same.
    pub instance: Option<String>,
    /// In which versions it speaks.
    pub versions: Versions,
    /// Silent for longer, it is out.
    pub session_ms: i32,
    /// How long a rebalance waits for it.
    pub rebalance_ms: i32,
    /// Goes up with everything that it says anew about itself.
    pub word: u64,
}

/// What a member knows of its generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its id; empty when it has none.
    pub id: String,
    /// The generation.
    pub generation: i32,
    /// The protocol that was chosen.
    pub protocol: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// It has to join.
    Out,
    /// It has to ask for its assignment; the leader knows the seats by member id.
    Joined(Vec<(String, String)>),
    /// It has its part of the work.
    Working,
    /// It has left, and comes again at some time.
    Away,
    /// Somebody else has its instance id, or the others do not know its protocols.
    Barred,
}

#[derive(Clone, Debug)]
enum What {
    Find,
    Join,
    Sync,
    Heartbeat,
    Commit(Commit),
    Fetch(Question),
    Leave,
}

#[derive(Clone, Debug)]
struct Asked {
    what: What,
    sent: Mono,
    /// What the group had settled.
    mark: usize,
    /// As whom it was asked.
    place: Place,
    /// That member was one of that generation.
    is_current: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Member {
    who: Character,
    line: Option<ConnId>,
    asked: VecDeque<Asked>,
    stage: Stage,
    place: Place,
    former: Option<Place>,
    /// When the broker has surely heard of it, in this life.
    heard: Option<Mono>,
    asleep_until: Mono,
    /// It does not come again once it has left.
    is_quitting: bool,
    /// When it says next that it lives, once everybody behaves.
    beats_at: Mono,
}

/// The time between two heartbeats of a member that behaves.
const HEARTBEAT_MS: i64 = 700;

impl Member {
    /// A member that is not in its group yet.
    pub fn new(who: Character) -> Member {
        Member {
            who,
            line: None,
            asked: VecDeque::new(),
            stage: Stage::Out,
            place: Place::default(),
            former: None,
            heard: None,
            asleep_until: Mono(0),
            is_quitting: false,
            beats_at: Mono(0),
        }
    }

    /// One of a seed; `index` counts them.
    pub fn any(index: u64, side: &mut Side<'_>) -> Member {
        let luck = &mut *side.luck;
        let (group, kind) = luck.pick(&[("readers", "consumer"), ("copiers", "connect")]);
        let is_static = luck.once_in(3);
        let twin = index / 2;
        let from = |luck: &mut crate::luck::Luck, low, high| luck.between(low, high) as i16;
        let versions = Versions {
            join: from(luck, if is_static { 5 } else { 0 }, 9),
            sync: from(luck, if is_static { 3 } else { 0 }, 5),
            heartbeat: from(luck, if is_static { 3 } else { 0 }, 4),
            leave: from(luck, if is_static { 3 } else { 0 }, 5),
            commit: from(luck, if is_static { 7 } else { 1 }, 10),
            fetch: from(luck, 1, 10),
        };
        Member::new(Character {
            number: index,
            group,
            kind,
            instance: is_static.then(|| format!("static{twin}")),
            versions,
            session_ms: luck.pick(&SESSIONS_MS),
            rebalance_ms: luck.pick(&REBALANCES_MS),
            word: 0,
        })
    }

    /// Its group.
    pub fn group(&self) -> &'static str {
        self.who.group
    }

    /// What it knows of its generation, while it has its part of the work.
    pub fn place(&self) -> Option<&Place> {
        (self.stage == Stage::Working).then_some(&self.place)
    }

    /// Nothing is owed to it, and it works, or never will again.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && matches!(self.stage, Stage::Working | Stage::Barred)
    }

    /// It has been heard in this life of the broker.
    pub fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    fn seat(&self) -> &str {
        seat(&self.place.id, self.who.instance.as_deref())
    }

    /// How long it can be silent, whatever the others do.
    fn patience_ms(&self) -> i32 {
        match self.who.versions.join {
            0 => self.who.session_ms,
            _ => self.who.session_ms.min(self.who.rebalance_ms),
        }
    }

    /// The broker is gone.
    pub fn cut_off(&mut self) {
        self.lose_line();
        (self.heard, self.asleep_until, self.beats_at) = (None, Mono(0), Mono(0));
    }

    fn lose_line(&mut self) {
        let was_joining = self
            .asked
            .iter()
            .any(|asked| matches!(asked.what, What::Leave));
        (self.line, self.asked) = (None, VecDeque::new());
        if was_joining {
            self.start_anew();
        }
        if matches!(self.stage, Stage::Joined(_)) {
            self.stage = Stage::Out;
        }
    }

    /// The process dies; who comes next knows the instance id at most.
    fn start_anew(&mut self) {
        if !self.place.id.is_empty() {
            self.former = Some(std::mem::take(&mut self.place));
        }
        (self.stage, self.heard) = (Stage::Out, None);
    }

    /// Goes away for good, without a word.
    pub fn vanish(&mut self, side: &mut Side<'_>) {
        if let Some(line) = self.line.take() {
            side.machine.drop_connection(line);
        }
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        if !finishing && side.machine.now.mono < self.asleep_until {
            return;
        }
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            let asked = self.asked.pop_front().expect("a question");
            self.take(side, &asked, &reply);
        }
        if !side.machine.is_open(line) {
            assert!(
                side.machine.is_idle(line),
                "the broker has closed a member's connection"
            );
            side.machine.drop_connection(line);
            self.lose_line();
            return;
        }
        if finishing || !self.misbehaves(side, line) {
            self.go_on(side, line, finishing);
        }
    }

    /// Now and then it dies, hangs up, sleeps, or changes its mind.
    fn misbehaves(&mut self, side: &mut Side<'_>, line: ConnId) -> bool {
        match side.luck.below(160) {
            0 | 1 => {
                side.machine.drop_connection(line);
                self.lose_line();
                self.start_anew();
            }
            2 | 3 => {
                side.machine.drop_connection(line);
                self.lose_line();
            }
            4..=6 => {
                let ms = side.luck.between(100, 45_000) as i64;
                self.asleep_until = side.machine.now.mono.plus_ms(ms);
            }
            7 | 8 if self.stage == Stage::Working && self.asked.is_empty() => self.change_mind(),
            _ => return false,
        }
        true
    }

    fn go_on(&mut self, side: &mut Side<'_>, line: ConnId, finishing: bool) {
        let is_waiting = !self.asked.is_empty();
        match &self.stage {
            Stage::Away if !is_waiting && (finishing || side.luck.once_in(12)) => self.start_anew(),
            Stage::Barred if !finishing && side.luck.once_in(25) => self.start_anew(),
            Stage::Out if !is_waiting && !finishing && side.luck.once_in(12) => {
                self.haunt(side, line);
            }
            Stage::Out if !is_waiting => self.join(side, line),
            Stage::Joined(seats) if !is_waiting => {
                let seats = seats.clone();
                self.sync(side, line, &seats);
            }
            Stage::Working if self.asked.len() < 2 => self.work(side, line, finishing),
            _ => {}
        }
    }

    fn work(&mut self, side: &mut Side<'_>, line: ConnId, finishing: bool) {
        let now = side.machine.now.mono;
        let choice = if finishing { 0 } else { side.luck.below(40) };
        match choice {
            _ if finishing && (now < self.beats_at || !self.asked.is_empty()) => {}
            0..=9 => {
                let place = self.place.clone();
                self.beats_at = now.plus_ms(HEARTBEAT_MS);
                self.ask(side, What::Heartbeat, &place);
                talk::heartbeat(side, line, &self.who, &place);
            }
            10..=16 => {
                let place = self.place.clone();
                self.commit(side, line, &place);
            }
            17..=19 => self.fetch(side, line),
            20 if self.asked.is_empty() => self.leave(side, line),
            21 => self.sync(side, line, &[]),
            22 => self.haunt(side, line),
            23 => self.find(side, line),
            _ => {}
        }
    }

    /// Remembers what is asked next.
    fn ask(&mut self, side: &mut Side<'_>, what: What, place: &Place) {
        let group = side.machine.broker().groups().get(self.who.group);
        let is_current = group.is_some_and(|group| {
            group.members.contains_key(&*place.id) && group.generation_id == place.generation
        });
        self.asked.push_back(Asked {
            what,
            sent: side.machine.now.mono,
            mark: side.ledger.groups.mark(self.who.group),
            place: place.clone(),
            is_current,
        });
    }

    fn find(&mut self, side: &mut Side<'_>, line: ConnId) {
        let place = self.place.clone();
        self.ask(side, What::Find, &place);
        talk::find(side, line, self.who.group);
    }

    fn join(&mut self, side: &mut Side<'_>, line: ConnId) {
        let place = self.place.clone();
        side.ledger.groups.stirring(self.who.group);
        if let Some(instance) = self.who.instance.as_deref().filter(|_| place.id.is_empty()) {
            side.ledger.groups.disputing(self.who.group, instance);
        }
        self.ask(side, What::Join, &place);
        talk::join(side, line, &self.who, &place);
    }

    fn sync(&mut self, side: &mut Side<'_>, line: ConnId, seats: &[(String, String)]) {
        let place = self.place.clone();
        self.ask(side, What::Sync, &place);
        talk::sync(side, line, &self.who, &place, seats);
    }

    fn leave(&mut self, side: &mut Side<'_>, line: ConnId) {
        let place = self.place.clone();
        side.ledger.groups.stirring(self.who.group);
        self.ask(side, What::Leave, &place);
        talk::leave(side, line, &self.who, &place);
    }

    fn commit(&mut self, side: &mut Side<'_>, line: ConnId, place: &Place) {
        let mut all = asks::usable(side, self.who.versions.commit);
        if all.is_empty() {
            return;
        }
        let count = side.luck.between(1, 3);
        all = (0..count).map(|_| side.luck.pick(&all)).collect();
        self.commit_some(side, line, place, &all);
    }

    fn commit_some(
        &mut self,
        side: &mut Side<'_>,
        line: ConnId,
        place: &Place,
        all: &[PartitionId],
    ) {
        let version = self.who.versions.commit;
        self.ask(side, What::Commit(Commit::new()), place);
        let instance = self.who.instance.as_deref();
        let claim = (self.who.group, place.generation, &*place.id, instance);
        let commit = asks::commit(side, line, version, claim, all);
        self.asked.back_mut().expect("the question").what = What::Commit(commit);
    }

    fn fetch(&mut self, side: &mut Side<'_>, line: ConnId) {
        let place = self.place.clone();
        let groups = [self.who.group.to_owned()];
        let question = asks::fetch(side, line, self.who.versions.fetch, &groups);
        self.ask(side, What::Fetch(question), &place);
    }

    /// Speaks as whom it was before.
    fn haunt(&mut self, side: &mut Side<'_>, line: ConnId) {
        let Some(former) = self.former.clone() else {
            return;
        };
        if side.luck.once_in(2) {
            self.commit(side, line, &former);
        } else {
            self.ask(side, What::Heartbeat, &former);
            talk::heartbeat(side, line, &self.who, &former);
        }
    }
}

/// What a script asks of it.
impl Member {
    /// Commits these partitions, if it works.
    pub fn commit_all(&mut self, side: &mut Side<'_>, all: &[PartitionId]) {
        if let (Stage::Working, Some(line)) = (&self.stage, self.line) {
            let place = self.place.clone();
            self.commit_some(side, line, &place, all);
        }
    }

    /// Leaves for good.
    pub fn quit(&mut self, side: &mut Side<'_>) {
        if let (Stage::Working, Some(line)) = (&self.stage, self.line) {
            self.leave(side, line);
            self.is_quitting = true;
        }
    }

    /// Its process dies, and another one begins.
    pub fn restart(&mut self, side: &mut Side<'_>) {
        self.vanish(side);
        self.lose_line();
        self.start_anew();
    }

    /// Reads other topics from now on.
    pub fn change_mind(&mut self) {
        self.who.word += 1;
        self.stage = Stage::Out;
    }
}

/// Answers.
impl Member {
    fn take(&mut self, side: &mut Side<'_>, asked: &Asked, reply: &Reply) {
        if !matches!(asked.what, What::Find) {
            side.ledger.groups.answered(self.who.group, asked.mark);
        }
        match &asked.what {
            // Which is the same whatever the group does, and waits for nothing.
            What::Find => talk::found(reply),
            What::Join => self.take_join(side, asked, &reply.read()),
            What::Sync => self.take_sync(side, asked, &reply.read()),
            What::Heartbeat => {
                let response: HeartbeatResponse = reply.read();
                self.take_verdict(side, asked, response.error_code);
            }
            What::Commit(commit) => {
                if let Some(code) = asks::committed(side, self.who.group, commit, reply) {
                    self.take_verdict(side, asked, code);
                }
            }
            What::Fetch(question) => asks::fetched(side, question, reply),
            What::Leave => self.take_leave(side, asked, &reply.read()),
        }
    }

    fn take_join(&mut self, side: &mut Side<'_>, asked: &Asked, got: &JoinGroupResponse<'_>) {
        match got.error_code {
            ErrorCode::NONE => self.enter(side, asked, got),
            ErrorCode::MEMBER_ID_REQUIRED => {
                let may_ask = self.who.versions.join >= 4 && self.who.instance.is_none();
                assert!(may_ask && asked.place.id.is_empty() && !got.member_id.is_empty());
                self.place.id = got.member_id.to_owned();
                self.heard = Some(asked.sent);
            }
            code => self.take_error(side, asked, code),
        }
    }

    fn enter(&mut self, side: &mut Side<'_>, asked: &Asked, got: &JoinGroupResponse<'_>) {
        let is_known = asked.place.id == got.member_id;
        assert!(is_known || (asked.place.id.is_empty() && !got.member_id.is_empty()));
        let kind = got.protocol_type.filter(|_| self.who.versions.join >= 7);
        assert_eq!(kind.unwrap_or(self.who.kind), self.who.kind);
        if asked.place.generation != 0 && is_known {
            let falls = got.generation_id < asked.place.generation;
            assert!(
                !falls || self.heard.is_none(),
                "a member's generation falls"
            );
        }
        let is_leader = got.leader == got.member_id;
        assert!(!got.skip_assignment || is_leader);
        let former = std::mem::take(&mut self.place);
        self.place = Place {
            id: got.member_id.to_owned(),
            generation: got.generation_id,
            protocol: got.protocol_name.unwrap_or_default().to_owned(),
        };
        if !former.id.is_empty() && former != self.place {
            self.former = Some(former);
        }
        let seats = talk::seats(side, &self.place.protocol, &got.members);
        let told: BTreeSet<String> = seats.iter().map(|(_, seat)| seat.clone()).collect();
        assert_eq!(told.len(), seats.len(), "a seat is given twice");
        let own = self.seat().to_owned();
        let told = is_leader.then_some(told);
        let book = &mut side.ledger.groups;
        let generation = (got.generation_id, asked.sent);
        let begun = book.joined(self.who.group, generation, &own, told);
        self.heard = self.heard.max(Some(begun));
        self.stage = Stage::Joined(if got.skip_assignment {
            Vec::new()
        } else {
            seats
        });
    }

    fn take_sync(&mut self, side: &mut Side<'_>, asked: &Asked, got: &SyncGroupResponse<'_>) {
        if got.error_code != ErrorCode::NONE {
            return self.take_error(side, asked, got.error_code);
        }
        assert!(asked.is_current, "an old generation is given assignments");
        if self.who.versions.sync >= 5 {
            assert_eq!(got.protocol_type, Some(self.who.kind));
            assert_eq!(got.protocol_name, Some(&*asked.place.protocol));
        }
        let seat = self.seat().to_owned();
        let book = &mut side.ledger.groups;
        let generation = (asked.place.generation, asked.sent);
        book.synced(self.who.group, generation, &seat, got.assignment);
        self.stage = Stage::Working;
    }

    /// What became of a heartbeat or a commit.
    fn take_verdict(&mut self, side: &mut Side<'_>, asked: &Asked, code: ErrorCode) {
        if code != ErrorCode::NONE {
            return self.take_error(side, asked, code);
        }
        assert!(asked.is_current, "{asked:?} is obeyed: {:?}", self.who);
        let is_heartbeat = matches!(asked.what, What::Heartbeat);
        if is_heartbeat && self.place == asked.place && self.stage == Stage::Working {
            self.heard = self.heard.max(Some(asked.sent));
        }
    }

    fn take_leave(&mut self, side: &mut Side<'_>, asked: &Asked, got: &LeaveGroupResponse<'_>) {
        let code = match self.who.versions.leave {
            ..3 => got.error_code,
            _ => got.members[0].error_code,
        };
        if code != ErrorCode::NONE {
            self.take_error(side, asked, code);
        }
        self.start_anew();
        self.stage = match self.is_quitting {
            true => Stage::Barred,
            false => Stage::Away,
        };
    }

    /// Holds an error against what is known. Who speaks as itself draws its conclusions.
    fn take_error(&mut self, side: &mut Side<'_>, asked: &Asked, code: ErrorCode) {
        let is_join = matches!(asked.what, What::Join);
        let is_possible = match code {
            ErrorCode::UNKNOWN_MEMBER_ID => {
                (!asked.is_current && !is_join) || self.may_be_out(side, asked)
            }
            ErrorCode::FENCED_INSTANCE_ID => self.who.instance.is_some(),
            ErrorCode::ILLEGAL_GENERATION => {
                !(is_join || asked.is_current && self.is_generation(side, asked))
            }
            ErrorCode::REBALANCE_IN_PROGRESS => asked.is_current && self.may_rebalance(side, asked),
            // The journal knows no protocols but the chosen one.
            ErrorCode::INCONSISTENT_GROUP_PROTOCOL => {
                is_join && side.machine.boots > 1 && talk::protocols(&self.who).len() < 3
            }
            // With its last member may go a group that has no offsets.
            ErrorCode::GROUP_ID_NOT_FOUND => {
                let is_out = !asked.is_current || self.may_be_out(side, asked);
                is_out && self.who.versions.commit >= 9
            }
            _ => false,
        };
        assert!(
            is_possible,
            "{asked:?} is answered with {}, heard {:?}: {:?}",
            code.0, self.heard, self.who
        );
        let is_itself = asked.place.id == self.place.id;
        match code {
            _ if !is_itself => {}
            ErrorCode::UNKNOWN_MEMBER_ID => self.start_anew(),
            ErrorCode::FENCED_INSTANCE_ID | ErrorCode::INCONSISTENT_GROUP_PROTOCOL => {
                self.start_anew();
                self.stage = Stage::Barred;
            }
            _ if asked.place == self.place => self.stage = Stage::Out,
            _ => {}
        }
    }

    fn may_be_out(&self, side: &mut Side<'_>, asked: &Asked) -> bool {
        if asked.place.id != self.place.id {
            return true;
        }
        let (now, group) = (side.machine.now.mono, self.who.group);
        let names = (&*self.place.id, self.seat());
        let patience_ms = self.patience_ms();
        let book = &mut side.ledger.groups;
        if self.place.generation == 0 && book.is_condemned(group) {
            return true;
        }
        book.may_be_out(group, names, self.heard, patience_ms, now)
    }

    fn is_generation(&self, side: &Side<'_>, asked: &Asked) -> bool {
        let group = side.machine.broker().groups().get(self.who.group);
        group.is_some_and(|group| group.generation_id == asked.place.generation)
    }

    /// A commit is also refused while the leader shares out the work, which may be over by now.
    fn may_rebalance(&self, side: &mut Side<'_>, asked: &Asked) -> bool {
        let group = side.machine.broker().groups().get(self.who.group);
        let is_preparing =
            group.is_some_and(|group| matches!(group.phase, Phase::PreparingRebalance { .. }));
        let is_commit = matches!(asked.what, What::Commit(_));
        let is_another = side.ledger.groups.is_reborn(self.who.group, asked.sent);
        is_preparing || is_commit || is_another || !self.is_generation(side, asked)
    }
}
