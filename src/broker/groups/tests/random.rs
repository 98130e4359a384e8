//! Random members, in one group, over a long time. What every step asserts is in the desk; beyond that, no generation
//! comes twice with other members, an assignment is what the leader of that generation has written for that
//! member, and in the end, when everybody is silent, the group is empty and nothing is owed.

use super::*;

pub(super) struct Luck(pub(super) u64);

impl Luck {
    pub(super) fn below(&mut self, count: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % count
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }
}

/// What a client is waiting for.
#[derive(Clone, Debug)]
enum Waits {
    Nothing,
    ToJoin(Asked),
    ForItsPart(Asked),
}

struct Actor {
    client: Client,
    joined: Option<Joined>,
    waits: Waits,
}

fn actor(luck: &mut Luck) -> Actor {
    let versions = [0, 3, 4, 9];
    let instances = [None, None, None, Some("one"), Some("two")];
    let favourites = [&["a", "b"], &["b", "a"]];
    let mut client = client().knows(favourites[luck.index(2)]);
    client.version = versions[luck.index(4)];
    client.instance = instances[luck.index(5)];
    client.session_ms = 6_000 + i32::try_from(luck.below(4)).unwrap() * 10_000;
    client.rebalance_ms = i32::try_from(luck.below(5)).unwrap() * 5_000;
    Actor {
        client,
        joined: None,
        waits: Waits::Nothing,
    }
}

impl Actor {
    /// Takes an answer that has come.
    fn listen(&mut self, desk: &mut Desk) {
        match self.waits {
            Waits::ToJoin(asked) if desk.answers.contains_key(&asked) => {
                let joined = desk.joined(asked);
                self.client.id = match joined.error {
                    ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => String::new(),
                    _ => joined.member_id.to_string(),
                };
                self.joined = Some(joined).filter(|joined| joined.error == ErrorCode::NONE);
                self.waits = Waits::Nothing;
            }
            Waits::ForItsPart(asked) if desk.answers.contains_key(&asked) => {
                let synced = desk.synced(asked);
                let joined = self.joined.as_ref().expect("it has joined");
                if synced.error == ErrorCode::NONE {
                    let part = format!("{} of {}", joined.member_id, joined.generation_id);
                    let is_own = *synced.assignment == *part.as_bytes();
                    let is_left = self.client.instance.is_some();
                    assert!(is_own || is_left, "{synced:?} for {part}");
                } else {
                    self.joined = None;
                }
                self.waits = Waits::Nothing;
            }
            _ => {}
        }
    }

    fn act(&mut self, desk: &mut Desk, luck: &mut Luck) {
        if !matches!(self.waits, Waits::Nothing) {
            return;
        }
        let Some(joined) = &self.joined else {
            self.waits = Waits::ToJoin(desk.ask(&self.client));
            return;
        };
        let claim = Claim {
            group_instance_id: self.client.instance,
            ..claim(joined)
        };
        match luck.below(20) {
            0 => {
                let left = leaver(&self.client.id, self.client.instance);
                desk.leave_all(&[left]);
                self.joined = None;
                self.client.id = String::new();
            }
            1..10 => {
                let of = |m: &JoinedMember| format!("{} of {}", m.member_id, joined.generation_id);
                let parts: Vec<String> = joined.members.iter().map(of).collect();
                let ids = joined.members.iter().map(|m| &*m.member_id);
                let parts: Vec<_> = ids.zip(parts.iter().map(String::as_bytes)).collect();
                self.waits = Waits::ForItsPart(desk.sync_as(claim, None, None, &parts));
            }
            10..12 => {
                let _ = desk.commit(claim, 9);
            }
            _ => match desk.beat_as(claim) {
                ErrorCode::NONE => {}
                ErrorCode::REBALANCE_IN_PROGRESS => self.joined = None,
                _ => {
                    self.joined = None;
                    self.client.id = String::new();
                }
            },
        }
    }
}

/// The members of every generation that was journaled; static members may change their ids within one.
fn check_journal(journal: &[Record]) {
    let mut newest = 0;
    let mut count = 0;
    for record in journal {
        let Record::Group { generation, .. } = record else {
            continue;
        };
        let is_replacement = generation.id == newest && generation.members.len() == count;
        assert!(generation.id > newest || is_replacement);
        (newest, count) = (generation.id, generation.members.len());
    }
}

#[test]
fn whatever_members_do_the_group_stays_sound() {
    let mut settled = 0;
    for seed in 0..60 {
        let mut luck = Luck(seed);
        let mut desk = desk_with(|config| {
            config.group_initial_rebalance_delay_ms = i64::try_from(seed % 3).unwrap() * 1000;
            config.group_max_size = 4;
        });
        let mut actors: Vec<Actor> = (0..6).map(|_| actor(&mut luck)).collect();
        for _ in 0..2000 {
            let at = luck.index(actors.len());
            match luck.below(40) {
                0 => actors[at] = actor(&mut luck),
                1..9 => desk.wait(i64::try_from(luck.below(4000)).unwrap()),
                _ => actors[at].act(&mut desk, &mut luck),
            }
            for actor in &mut actors {
                actor.listen(&mut desk);
            }
        }
        check_journal(&desk.journal);
        let is_of_members = |record: &&Record| match record {
            Record::Group { generation, .. } => !generation.members.is_empty(),
            _ => false,
        };
        settled += desk.journal.iter().filter(is_of_members).count();
        desk.wait(3_600_000);
        assert!(desk.owed.is_empty(), "an answer is owed for ever");
        assert_eq!(
            desk.state(),
            if desk.journal.is_empty() {
                "Dead"
            } else {
                "Empty"
            }
        );
        assert_eq!(desk.groups.next_deadline(), None);
    }
    assert!(settled > 1000, "the members do get somewhere: {settled}");
}
