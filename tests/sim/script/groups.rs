//! The steps of a script that have to do with groups.

use super::{Script, Step};
use crate::groups::{Character, Crowd, Member, Versions};
use crate::side::Side;
use chronikd::storage::PartitionId;

/// Sessions that outlast every script.
const SESSION_MS: i32 = 60_000;
const REBALANCE_MS: i32 = 40_000;
/// Turns in which everything comes to its end that does not have to wait for somebody.
const BRISK_TURNS: usize = 60;
/// What passes in each of the turns after these; members say more often that they live.
const LONG_MS: i64 = 100;

impl Script {
    /// Runs something on the crowd, and then lets everybody go on until all is answered and everybody works.
    fn together(&mut self, what: impl FnOnce(&mut Crowd, &mut Side<'_>)) -> Step {
        let mut crowd = std::mem::take(&mut self.crowd);
        what(&mut crowd, &mut self.side());
        self.crowd = crowd;
        self.gather()
    }

    /// Everybody goes on until all is answered, everybody works, and nobody is in a group that does not. Who died
    /// without a word is waited for, so time passes faster when this takes long.
    pub fn gather(&mut self) -> Step {
        let mut turns = 0;
        self.until(|script| {
            turns += 1;
            if turns > BRISK_TURNS {
                script.machine.pass_ms(LONG_MS);
            }
            let mut crowd = std::mem::take(&mut script.crowd);
            let mut side = script.side();
            crowd.step(&mut side, true);
            let is_calm = crowd.is_calm(&side) && crowd.is_heard();
            script.crowd = crowd;
            is_calm
        })
    }

    /// So many new members, every second of them a static one, join a group together.
    pub fn join(&mut self, count: u64) -> Step {
        let first = self.crowd.members.len() as u64;
        self.together(|crowd, _| {
            for number in first..first + count {
                crowd.members.push(Member::new(character(number)));
            }
        })
    }

    /// Every member commits these partitions of a topic, and so does a consumer that is in no group.
    pub fn commit(&mut self, name: &str, partitions: i32) -> Step {
        let topic = self.topic(name);
        let at = |partition| PartitionId { topic, partition };
        let all: Vec<PartitionId> = (0..partitions).map(at).collect();
        self.together(|crowd, side| crowd.commit(side, &all))
    }

    /// The member of that index leaves, and is not seen again.
    pub fn leave(&mut self, index: usize) -> Step {
        self.together(|crowd, side| crowd.members[index].quit(side))?;
        assert!(self.crowd.members[index].place().is_none());
        Ok(())
    }

    /// The process of a member dies, and another one begins.
    pub fn restart(&mut self, index: usize) -> Step {
        self.together(|crowd, side| crowd.members[index].restart(side))
    }

    /// A member reads other topics from now on.
    pub fn resubscribe(&mut self, index: usize) -> Step {
        self.together(|crowd, _| crowd.members[index].change_mind())
    }

    /// All members vanish, and time passes until their groups have noticed.
    pub fn disperse(&mut self) -> Step {
        self.together(|crowd, side| {
            crowd.vanish(side);
            side.machine.pass_ms(i64::from(SESSION_MS));
        })?;
        self.pass_ms(i64::from(REBALANCE_MS))
    }

    /// Deletes a group without members.
    pub fn delete_group(&mut self, group: &str) -> Step {
        self.together(|crowd, side| crowd.delete(side, group))
    }

    /// After a start: what was committed is shown, and the groups go on; a start without a rebalance moves nobody.
    pub(super) fn check_groups(&mut self) -> Step {
        self.together(Crowd::audit)?;
        for topic in ["durable", "rolls"] {
            if self.ledger.named(topic).len() == 1 {
                self.commit(topic, 1)?;
            }
        }
        Ok(())
    }
}

/// Members of all sorts of versions; the same number is always the same.
fn character(number: u64) -> Character {
    let of = |most: u64, least: u64| (least + number * 3 % (most - least + 1)) as i16;
    let is_static = number % 2 == 1;
    Character {
        number,
        group: "readers",
        kind: "consumer",
        instance: is_static.then(|| format!("static{number}")),
        versions: Versions {
            join: of(9, 5),
            sync: of(5, 3),
            heartbeat: of(4, 3),
            leave: of(5, 3),
            commit: of(10, 7),
            fetch: of(10, 1),
        },
        session_ms: SESSION_MS,
        rebalance_ms: REBALANCE_MS,
        word: 0,
    }
}
