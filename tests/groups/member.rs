//! One member of a group: a client's program in `members/`, which consumes until it is told to stop or killed.
//!
//! It is started as `PROGRAM BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]`, processes batch after batch, commits
//! each (synchronously, and nothing that it has not processed), and tells what it does in lines, each in one write:
//!
//! ```text
//! assigned 0,2,5          its partitions, all of them, whenever the set changes; `-` is none
//! got 2 117 VALUE         it processes the record of this partition at this offset
//! committed 0:12,2:118    the broker has acknowledged these offsets, which are the next ones to process
//! refused SENTENCE        the broker has not; it goes on
//! left                    it has left the group, and ends
//! failed SENTENCE         it cannot go on, and ends
//! ```
//!
//! The line `stop` on its stdin, or the end of that, makes it leave.

use std::collections::BTreeSet;
use std::sync::mpsc::Sender;

use crate::client::Client;
use crate::common::talk::Talk;

/// What a member has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Assigned(BTreeSet<i32>),
    Got {
        partition: i32,
        offset: i64,
        value: String,
    },
    /// Pairs of partition and offset.
    Committed(Vec<(i32, i64)>),
    Refused(String),
    Left,
    /// It cannot go on, or its output has ended.
    Ended(String),
}

impl Line {
    fn heard(text: Option<&str>) -> Line {
        let Some(text) = text else {
            return Line::Ended("its output ended".to_owned());
        };
        Line::parse(text).unwrap_or_else(|| Line::Ended(format!("it said {text:?}")))
    }

    fn parse(text: &str) -> Option<Line> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "assigned" => partitions(rest).map(Line::Assigned),
            "got" => got(rest),
            "committed" => rest
                .split(',')
                .map(pair)
                .collect::<Option<_>>()
                .map(Line::Committed),
            "refused" => Some(Line::Refused(rest.to_owned())),
            "left" => Some(Line::Left),
            "failed" => Some(Line::Ended(rest.to_owned())),
            _ => None,
        }
    }
}

fn partitions(text: &str) -> Option<BTreeSet<i32>> {
    if text == "-" {
        return Some(BTreeSet::new());
    }
    text.split(',').map(|one| one.parse().ok()).collect()
}

fn got(text: &str) -> Option<Line> {
    let mut words = text.splitn(3, ' ');
    Some(Line::Got {
        partition: words.next()?.parse().ok()?,
        offset: words.next()?.parse().ok()?,
        value: words.next()?.to_owned(),
    })
}

fn pair(text: &str) -> Option<(i32, i64)> {
    let (partition, offset) = text.split_once(':')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// A running member. It ends when this goes.
pub(crate) struct Member(Talk);

impl Member {
    /// Starts one; its lines go to `lines` under that number.
    ///
    /// # Panics
    /// When the client is not installed.
    pub(crate) fn start(
        client: &Client,
        arguments: &[&str],
        number: usize,
        lines: Sender<(usize, Line)>,
    ) -> Member {
        let mut command = client.command().expect("a client that is here");
        let talk = Talk::start(command.args(arguments), move |text| {
            lines.send((number, Line::heard(text))).is_ok()
        });
        Member(talk.expect("a program that starts"))
    }

    /// Asks it to leave; it says `left` when it has.
    pub(crate) fn stop(&mut self) {
        self.0.say("stop").expect("a running member");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        self.0.kill9();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_or_refused() {
        let set = |partitions: &[i32]| Line::Assigned(partitions.iter().copied().collect());
        assert_eq!(Line::parse("assigned 0,2"), Some(set(&[0, 2])));
        assert_eq!(Line::parse("assigned -"), Some(set(&[])));
        assert_eq!(
            Line::parse("got 2 117 a value"),
            Some(Line::Got {
                partition: 2,
                offset: 117,
                value: "a value".to_owned()
            })
        );
        assert_eq!(
            Line::parse("committed 0:12,2:118"),
            Some(Line::Committed(vec![(0, 12), (2, 118)]))
        );
        assert_eq!(Line::parse("left"), Some(Line::Left));
        for text in ["", "assigned", "got 1 2", "committed 1", "gott 1 2 3"] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
