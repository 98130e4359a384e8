//! One question at a time: the line of a client that asks, waits for the answer and may then ask again.

use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::wait::ConnId;

/// See the head of this file. `Q` is what was asked, and what was known then.
#[derive(Debug)]
pub struct Errand<Q> {
    line: Option<ConnId>,
    asked: Option<Q>,
}

impl<Q> Default for Errand<Q> {
    fn default() -> Errand<Q> {
        Errand {
            line: None,
            asked: None,
        }
    }
}

impl<Q> Errand<Q> {
    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.asked) = (None, None);
    }

    /// Whether nothing is unanswered.
    pub fn is_idle(&self) -> bool {
        self.asked.is_none()
    }

    /// The line that questions go out on.
    pub fn line(&mut self, side: &mut Side<'_>) -> ConnId {
        *self.line.get_or_insert_with(|| side.machine.connect())
    }

    /// This was asked.
    pub fn asked(&mut self, question: Q) {
        self.asked = Some(question);
    }

    /// Connects, or hands over what was answered. Answers whether the next question may be asked.
    pub fn step(
        &mut self,
        side: &mut Side<'_>,
        mut take: impl FnMut(&mut Side<'_>, Q, &Reply),
    ) -> bool {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return false;
        };
        for reply in side.machine.take_replies(line) {
            let asked = self.asked.take().expect("a question");
            take(side, asked, &reply);
        }
        if !side.machine.is_open(line) {
            assert!(side.machine.is_idle(line), "the broker has hung up");
            self.hang_up(side);
            return false;
        }
        self.is_idle()
    }

    /// Goes away.
    pub fn hang_up(&mut self, side: &mut Side<'_>) {
        if let Some(line) = self.line {
            side.machine.drop_connection(line);
        }
        self.cut_off();
    }
}
