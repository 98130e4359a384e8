//! Random producers of both versions, cuts of the power, starts on a full disk, timeouts and zombies, over logs that
//! keep what Kafka's producer state keeps. Some worlds begin where the epochs are nearly used up. A cut loses any tail
//! of each log that no round has made durable; only where it loses none of that may the journal keep a part of what it
//! has withheld, for a round makes logs durable first.
//!
//! In the end every log must say the same of every transaction: committed where its producer was told so, aborted where
//! it was told so or has never asked for more, and where it does not know, all or nothing. No record comes twice, and
//! nothing is left open.

use super::*;
use std::collections::BTreeMap;

struct Luck(u64);

impl Luck {
    fn below(&mut self, count: u64) -> u64 {
        let step = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = step.wrapping_add(1);
        (self.0 >> 33) % count
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

/// What a log holds: a record of a transaction, or an end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Record { txn: usize, number: usize },
    End { commits: bool },
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    round: u64,
    who: Who,
    what: What,
}

#[derive(Clone, Default)]
struct Log(Vec<Entry>);

impl Log {
    /// The last epoch of a producer, and whether it has records without an end.
    fn known(&self, producer_id: i64) -> (i16, bool) {
        let last = self.0.iter().rev().find(|entry| entry.who.0 == producer_id);
        let is_open = |entry: &Entry| matches!(entry.what, What::Record { .. });
        last.map_or((NO_PRODUCER_EPOCH, false), |entry| {
            (entry.who.1, is_open(entry))
        })
    }

    /// Takes a marker by Kafka's rules.
    fn mark(&mut self, round: u64, standing: &Standing) {
        let who = pair(standing.producer);
        let (last, is_open) = self.known(who.0);
        let ends_the_last = is_open && who.1 == i16::MAX;
        let is_retry = standing.version == V2 && who.1 == last && !ends_the_last;
        if who.1 < last || is_retry {
            return;
        }
        let commits = standing.state.commits();
        let what = What::End { commits };
        self.0.push(Entry { round, who, what });
    }

    /// By transaction and record, what readers make of it: none while it is open.
    fn fates(&self) -> Vec<(usize, usize, Option<bool>)> {
        let mut fates = Vec::new();
        for (index, entry) in self.0.iter().enumerate() {
            let What::Record { txn, number } = entry.what else {
                continue;
            };
            let mut behind = self.0[index..].iter().filter(|it| it.who.0 == entry.who.0);
            let fate = behind.find_map(|it| match it.what {
                What::End { commits } => Some(commits),
                What::Record { .. } => None,
            });
            fates.push((txn, number, fate));
        }
        fates
    }
}

/// What a producer has been told of a transaction.
#[derive(Clone, Debug, Default)]
struct Story {
    acknowledged: Vec<(usize, usize)>,
    asked_to_commit: bool,
    told: Option<bool>,
}

/// What a producer does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Init,
    Begin,
    Add(usize),
    Write(usize),
    End(bool),
}

/// A producer: one request at a time, each repeated until its answer is there. A hasty one does not wait for answers,
/// and knows what they will tell.
#[derive(Clone)]
struct Actor {
    id: &'static str,
    /// Of Produce and of EndTxn.
    versions: (TxnVersion, TxnVersion),
    is_hasty: bool,
    who: Who,
    step: Step,
    txn: usize,
    written: usize,
    /// An answer that leaves with that round: what it tells, and what to do then.
    answer: Option<(u64, Who, Step)>,
}

/// What an answer tells of a transaction.
#[derive(Clone, Copy)]
enum Fact {
    Wrote { partition: usize, number: usize },
    Ended { commits: bool },
}

struct World {
    luck: Luck,
    /// Its disk takes no markers from some starts on, until `recover`.
    desk: Desk,
    /// What the last start has found open in logs and could not settle yet.
    strays: Vec<Stray>,
    /// Some start was on a full disk: what it could not settle may have been overtaken since.
    was_full: bool,
    logs: [Log; 3],
    stories: Vec<Story>,
    actors: Vec<Actor>,
    /// What answers to hasty producers will tell when their round is durable.
    on_their_way: Vec<(u64, usize, Fact)>,
}

/// What the answer to a producer's request will tell.
fn fact_of(actor: &Actor) -> Option<Fact> {
    match actor.step {
        Step::Write(partition) => Some(Fact::Wrote {
            partition,
            number: actor.written,
        }),
        Step::End(commits) => Some(Fact::Ended { commits }),
        _ => None,
    }
}

const IDS: [&str; 3] = ["a", "b", "c"];
/// When an end that was put off is tried again.
const RETRY_MS: i64 = 500;

fn world(seed: u64) -> World {
    let mut luck = Luck(seed);
    luck.below(2);
    let versions = [(V1, V1), (V2, V2), (V2, V1), (V1, V2)];
    let actor = |index: usize| Actor {
        id: IDS[index],
        versions: versions[luck.index(4)],
        is_hasty: luck.is(3),
        who: (NO_PRODUCER_ID, NO_PRODUCER_EPOCH),
        step: Step::Init,
        txn: 0,
        written: 0,
        answer: None,
    };
    let actors = (0..IDS.len()).map(actor).collect();
    let mut desk = desk();
    desk.finalized = [V1, V2][luck.index(2)];
    if luck.is(2) {
        for id in IDS {
            let standing = Standing {
                producer: producer((desk.next_id, i16::MAX - 6)),
                ..Standing::unborn(desk.next_id)
            };
            desk.stands(id, standing);
        }
    }
    World {
        desk,
        strays: Vec::new(),
        was_full: false,
        logs: Default::default(),
        stories: Vec::new(),
        actors,
        on_their_way: Vec::new(),
        luck,
    }
}

impl World {
    fn sync(&mut self) {
        self.desk.end_round();
        for (_, txn, fact) in std::mem::take(&mut self.on_their_way) {
            self.learn(txn, fact);
        }
        self.finish();
    }

    fn finish(&mut self) {
        while let Some(id) = self.desk.txns.take_end(self.desk.synced) {
            let txn = self.desk.txns.get(&id).unwrap();
            let (standing, all) = (txn.standing, txn.partitions.clone());
            if self.desk.full && !all.is_empty() {
                let until = self.desk.now.mono.plus_ms(RETRY_MS);
                self.desk.txns.put_off(id, until);
                continue;
            }
            let most = 1 + self.luck.index(3);
            let part: Vec<_> = all.iter().copied().take(most).collect();
            for at in &part {
                let log = &mut self.logs[usize::try_from(at.partition).unwrap()];
                log.mark(self.desk.gathering, &standing);
            }
            let records = self
                .desk
                .txns
                .get(&id)
                .unwrap()
                .marked(&part, self.desk.now);
            if part.len() < all.len() {
                self.desk.txns.go_on(id);
            }
            self.desk.keep(records);
        }
    }

    /// The power fails, and comes back.
    fn cut(&mut self) {
        let synced = self.desk.synced;
        let is_whole = self.luck.is(2);
        for log in self.logs.iter_mut().filter(|_| !is_whole) {
            let safe = log.0.partition_point(|entry| entry.round <= synced);
            let keeps = safe + self.luck.index(log.0.len() - safe + 1);
            log.0.truncate(keeps);
        }
        let safe = self
            .desk
            .journal
            .partition_point(|(round, _)| *round <= synced);
        let more = self.luck.index(self.desk.journal.len() - safe + 1);
        self.desk
            .journal
            .truncate(safe + if is_whole { more } else { 0 });
        self.on_their_way.clear();
        for actor in &mut self.actors {
            actor.answer = None;
            if actor.is_hasty {
                actor.step = Step::Init;
            }
        }
        self.restart();
    }

    fn restart(&mut self) {
        let rounds = self.logs.iter_mut().flat_map(|log| &mut log.0);
        rounds.for_each(|entry| entry.round = 0);
        self.desk.full = self.luck.is(3);
        self.was_full |= self.desk.full;
        self.desk.restart();
        self.strays = self.open();
        self.finish();
        self.settle_strays();
    }

    /// What is open in the logs.
    fn open(&self) -> Vec<Stray> {
        let mut open = Vec::new();
        for (partition, log) in (0..).zip(&self.logs) {
            let owners: BTreeSet<i64> = log.0.iter().map(|entry| entry.who.0).collect();
            let known = owners.into_iter().map(|id| (id, log.known(id)));
            let known = known.filter(|(_, (_, is_open))| *is_open);
            open.extend(known.map(|(id, (epoch, _))| Stray {
                at: at(partition),
                producer: Producer { id, epoch },
            }));
        }
        open
    }

    fn settle_strays(&mut self) {
        let open = self.open();
        for stray in std::mem::take(&mut self.strays) {
            if !open.contains(&stray) {
                continue;
            }
            match self.desk.txns.adopt(&stray, self.desk.now) {
                Adoption::Adopted(_, records) => self.desk.keep(records),
                Adoption::Later => self.strays.push(stray),
                Adoption::Orphan => self.abort(&stray),
            }
        }
        assert!(self.was_full || self.strays.is_empty());
    }

    /// Its producer has gone on while the disk was full.
    fn abort(&mut self, stray: &Stray) {
        assert!(self.was_full, "{stray:?}: who writes is journaled");
        let log = &mut self.logs[usize::try_from(stray.at.partition).unwrap()];
        log.0.push(Entry {
            round: self.desk.gathering,
            who: pair(stray.producer),
            what: What::End { commits: false },
        });
    }

    /// The disk has room again, and what has waited for that is due.
    fn recover(&mut self) {
        self.desk.full = false;
        let now = self.desk.now.mono.plus_ms(RETRY_MS);
        self.desk.move_to(now);
        while let Some(id) = self.desk.txns.overdue(now) {
            self.desk.time_out(&id);
        }
        self.finish();
        self.settle_strays();
    }

    fn time_out(&mut self, id: &str) {
        let txn = self.desk.txns.get(id);
        if txn.is_some_and(|txn| txn.state() == TxnState::Ongoing) {
            self.desk.time_out(id);
        }
    }

    /// One request of a producer, or the answer to the last one.
    fn act(&mut self, index: usize) {
        let mut actor = self.actors[index].clone();
        if let Some((round, who, step)) = actor.answer {
            if round <= self.desk.synced {
                if let Some(fact) = fact_of(&actor) {
                    self.learn(actor.txn, fact);
                }
                self.go_on(&mut actor, who, step);
                self.actors[index] = actor;
            }
            return;
        }
        let asked = self.ask(&mut actor);
        match asked {
            Ok((who, step)) if actor.is_hasty => {
                if let Some(fact) = fact_of(&actor) {
                    self.on_their_way
                        .push((self.desk.gathering, actor.txn, fact));
                }
                self.go_on(&mut actor, who, step);
            }
            Ok((who, step)) => actor.answer = Some((self.desk.gathering, who, step)),
            Err(ErrorCode::CONCURRENT_TRANSACTIONS) => {}
            Err(_) => actor.step = Step::Init,
        }
        self.actors[index] = actor;
    }

    fn learn(&mut self, txn: usize, fact: Fact) {
        let story = &mut self.stories[txn];
        match fact {
            Fact::Wrote { partition, number } => story.acknowledged.push((partition, number)),
            Fact::Ended { commits } => story.told = Some(commits),
        }
    }

    fn go_on(&mut self, actor: &mut Actor, who: Who, next: Step) {
        actor.written += usize::from(matches!(actor.step, Step::Write(_)));
        (actor.who, actor.step, actor.answer) = (who, next, None);
    }

    fn ask(&mut self, actor: &mut Actor) -> Result<(Who, Step), ErrorCode> {
        let claim = Claim {
            transactional_id: actor.id,
            ..claim(actor.who)
        };
        match actor.step {
            Step::Init => {
                let producer = self.desk.init_at_once(actor.id, None)?;
                Ok((producer, Step::Begin))
            }
            Step::Begin => {
                (actor.txn, actor.written) = (self.stories.len(), 0);
                self.stories.push(Story::default());
                actor.step = self.first_step(actor);
                self.ask(actor)
            }
            Step::Add(partition) => {
                let to = [at(i32::try_from(partition).unwrap())];
                self.desk.add_by(&claim, &to)?;
                Ok((actor.who, Step::Write(partition)))
            }
            Step::Write(partition) => {
                self.write(actor, &claim, partition)?;
                let step = match self.luck.below(4) {
                    0 => Step::End(self.luck.is(2)),
                    _ => self.first_step(actor),
                };
                Ok((actor.who, step))
            }
            Step::End(commits) => {
                self.stories[actor.txn].asked_to_commit |= commits;
                let version = actor.versions.1;
                let goes_on_as = self.desk.end_by(&claim, commits, version)?;
                Ok((goes_on_as, Step::Begin))
            }
        }
    }

    fn first_step(&mut self, actor: &Actor) -> Step {
        let partition = self.luck.index(self.logs.len());
        match actor.versions.0 {
            V1 => Step::Add(partition),
            V2 => Step::Write(partition),
        }
    }

    /// A record that is there already is not written again, as by its sequence.
    fn write(
        &mut self,
        actor: &Actor,
        claim: &Claim<'_>,
        partition: usize,
    ) -> Result<(), ErrorCode> {
        let (last, is_open) = self.logs[partition].known(actor.who.0);
        if actor.who.1 < last {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let knows =
            is_open && actor.who.1 == last && self.desk.txns.is_ongoing(producer(actor.who));
        if !knows {
            let version = actor.versions.0;
            let to = at(i32::try_from(partition).unwrap());
            let synced = self.desk.synced;
            let txns = &self.desk.txns;
            let records = txns.admit(claim, to, version, synced, self.desk.now)?;
            if is_open && actor.who.1 != last {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            self.desk.keep(records);
        }
        let what = What::Record {
            txn: actor.txn,
            number: actor.written,
        };
        let log = &mut self.logs[partition].0;
        if !log.iter().any(|entry| entry.what == what) {
            log.push(Entry {
                round: self.desk.gathering,
                who: actor.who,
                what,
            });
        }
        Ok(())
    }

    /// Somebody else takes a producer's place; what it was has one more word.
    fn overtake(&mut self, index: usize) {
        let mut zombie = self.actors[index].clone();
        let actor = &mut self.actors[index];
        (actor.step, actor.answer) = (Step::Init, None);
        if zombie.who.0 != NO_PRODUCER_ID && zombie.step != Step::Begin && zombie.step != Step::Init
        {
            for _ in 0..3 {
                self.act(index);
                self.sync();
            }
            zombie.answer = None;
            let _ = self.ask(&mut zombie);
        }
    }

    fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            let index = self.luck.index(self.actors.len());
            match self.luck.below(100) {
                0..70 => self.act(index),
                70..90 => self.sync(),
                90..93 => self.cut(),
                93..96 => self.time_out(IDS[index]),
                96..98 => self.recover(),
                _ => self.overtake(index),
            }
            self.finish();
        }
        self.sync();
        self.recover();
        self.sync();
        IDS.iter().for_each(|id| self.time_out(id));
        (0..4).for_each(|_| self.sync());
        self.recover();
    }

    /// Answers how many transactions were seen as committed.
    fn judge(&self) -> usize {
        let mut seen: BTreeMap<usize, BTreeMap<(usize, usize), bool>> = BTreeMap::new();
        for (partition, log) in self.logs.iter().enumerate() {
            for (txn, number, fate) in log.fates() {
                let fate = fate.expect("nothing is open in the end");
                let of_txn = seen.entry(txn).or_default();
                let before = of_txn.insert((partition, number), fate);
                assert_eq!(before, None, "a record comes once");
            }
        }
        let mut committed_count = 0;
        for (txn, story) in self.stories.iter().enumerate() {
            let fates = seen.remove(&txn).unwrap_or_default();
            let committed = fates.values().filter(|fate| **fate).count();
            assert!(
                committed == 0 || committed == fates.len(),
                "{txn}: torn, {fates:?}"
            );
            for place in &story.acknowledged {
                assert!(fates.contains_key(place), "{txn}: {place:?} is lost");
            }
            match story.told {
                Some(true) => assert_eq!(committed, fates.len(), "{txn}: a lost commit"),
                Some(false) => assert_eq!(committed, 0, "{txn}: an abort is read"),
                None if !story.asked_to_commit => assert_eq!(committed, 0, "{txn}: not asked for"),
                None => {}
            }
            committed_count += usize::from(committed > 0);
        }
        committed_count
    }
}

#[test]
fn whatever_is_cut_off_every_transaction_is_whole() {
    let mut committed_count = 0;
    for seed in 0..4000 {
        let mut world = world(seed);
        world.live(400);
        committed_count += world.judge();
    }
    assert!(committed_count > 1000, "{committed_count}");
}
