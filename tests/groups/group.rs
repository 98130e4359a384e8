//! The members of one group, living and dead, and the waiting for what they are to do.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::book::Book;
use crate::client::Client;
use crate::member::{Line, Member};

/// More than a session timeout, a rebalance and the start of some members on a machine that is shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// One group.
pub(crate) struct Group {
    pub(crate) name: String,
    topic: String,
    partition_count: usize,
    address: String,
    /// The clients of its members, in turn.
    cast: Vec<&'static Client>,
    assignor: &'static str,
    /// All that ever were, by number.
    members: Vec<Seat>,
    pub(crate) book: Book,
    sender: Sender<(usize, Line)>,
    lines: Receiver<(usize, Line)>,
}

struct Seat {
    process: Member,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Living,
    /// It was asked to leave.
    Leaving,
    Gone,
}

/// Where a group reads.
pub(crate) struct Place<'a> {
    pub(crate) address: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition_count: usize,
}

impl Group {
    /// A group without members.
    pub(crate) fn new(
        name: &str,
        place: &Place<'_>,
        cast: Vec<&'static Client>,
        assignor: &'static str,
    ) -> Group {
        let (sender, lines) = channel();
        Group {
            name: name.to_owned(),
            topic: place.topic.to_owned(),
            partition_count: place.partition_count,
            address: place.address.to_owned(),
            cast,
            assignor,
            members: Vec::new(),
            book: Book::default(),
            sender,
            lines,
        }
    }

    /// Adds a member, static when it has an instance id, and answers its number.
    pub(crate) fn join(&mut self, instance: Option<&str>) -> usize {
        let number = self.members.len();
        let client = self.cast[number % self.cast.len()];
        let mut arguments = vec![&*self.address, &self.name, &self.topic, self.assignor];
        arguments.extend(instance);
        let process = Member::start(client, &arguments, number, self.sender.clone());
        self.members.push(Seat {
            process,
            state: State::Living,
        });
        number
    }

    /// SIGKILL to a member; what it has said until then counts.
    pub(crate) fn kill(&mut self, number: usize) {
        self.members[number].state = State::Gone;
        self.members[number].process.kill9();
    }

    /// Has a member leave cleanly, and waits until it has.
    pub(crate) fn leave(&mut self, number: usize) {
        self.members[number].state = State::Leaving;
        self.members[number].process.stop();
        self.wait("a member leaves", |group| {
            group.members[number].state == State::Gone
        });
    }

    /// Waits until the living members share the partitions.
    pub(crate) fn settle(&mut self) {
        let living = self.living();
        self.wait("the members share the partitions", |group| {
            group.book.is_shared_by(&living, group.partition_count)
        });
    }

    /// Waits until everything below these ends is committed.
    pub(crate) fn catch_up(&mut self, ends: &[i64]) {
        let what = format!("everything below {ends:?} is committed");
        self.wait(&what, |group| group.book.is_committed(ends));
    }

    /// The partitions of the living members, and how often each has told of a change.
    pub(crate) fn shares(&self) -> Vec<(BTreeSet<i32>, usize)> {
        let living = self.living();
        living
            .iter()
            .map(|number| self.book.assigned(*number))
            .collect()
    }

    /// Whether some client of it joins anew when the broker was away.
    pub(crate) fn rejoins(&self) -> bool {
        self.cast.iter().any(|client| client.rejoins)
    }

    fn living(&self) -> Vec<usize> {
        let living = |number: &usize| self.members[*number].state == State::Living;
        (0..self.members.len()).filter(living).collect()
    }

    /// Enters lines into the book until something is so.
    pub(crate) fn wait(&mut self, what: &str, is_so: impl Fn(&Group) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok((number, line)) = self.lines.recv_timeout(left) else {
                panic!("{}: waiting until {what}\n{}", self.name, self.book);
            };
            self.hear(number, line);
        }
    }

    fn hear(&mut self, number: usize, line: Line) {
        let seat = &mut self.members[number];
        match (&line, seat.state) {
            (Line::Left, State::Leaving) => seat.state = State::Gone,
            (Line::Left | Line::Ended(_), State::Living | State::Leaving) => {
                panic!("{}: member {number}: {line:?}\n{}", self.name, self.book);
            }
            _ => {}
        }
        self.book.enter(number, line);
    }
}
