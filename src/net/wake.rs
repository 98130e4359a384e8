//! The poll, and the bell with which the lanes wake it.
//!
//! A ring costs a system call only while the loop sleeps: awake, it looks at the lanes again before it sleeps anyway.
//!
//! ```text
//! loop   asleep := true, then reads pending ... poll ... asleep := false, pending := false, then looks at the lanes
//! lane   puts its result down, pending := true, then reads asleep
//! ```
//!
//! One of the two reads sees the other's write, so no ring is lost.

use mio::{Events, Poll, Registry, Token, Waker};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The token of the bell's own event.
pub(super) const BELL: Token = Token(0);

/// What the loop sleeps in. Made first, since the lanes need its bell.
pub struct Poller {
    poll: Poll,
    bell: Bell,
}

/// Wakes the loop from any thread.
#[derive(Clone)]
pub struct Bell {
    inner: Arc<Inner>,
}

struct Inner {
    asleep: AtomicBool,
    pending: AtomicBool,
    waker: Waker,
}

impl Poller {
    /// A poll with nothing but its bell.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let inner = Inner {
            asleep: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), BELL)?,
        };
        let bell = Bell {
            inner: Arc::new(inner),
        };
        Ok(Poller { poll, bell })
    }

    /// A bell, to be rung whenever a lane has put a result down.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Sleeps until something happens or the time is over; a bell that rang before ends the sleep at once. An
    /// interruption is a wake-up without events.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let bell = &self.bell.inner;
        bell.asleep.store(true, Ordering::SeqCst);
        let rang = bell.pending.load(Ordering::SeqCst);
        let timeout = if rang { Some(Duration::ZERO) } else { timeout };
        let polled = self.poll.poll(events, timeout);
        bell.asleep.store(false, Ordering::SeqCst);
        bell.pending.store(false, Ordering::SeqCst);
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other,
        }
    }
}

impl Bell {
    /// Wakes the loop, or keeps it from falling asleep.
    pub fn ring(&self) {
        self.inner.pending.store(true, Ordering::SeqCst);
        if self.inner.asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.inner.waker.wake()
        {
            log::error!("cannot wake the loop: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_rang_before_ends_the_sleep_without_a_system_call() {
        let mut poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        poller.bell().ring();
        poller.wait(&mut events, None).unwrap();
        assert!(events.is_empty());
    }

    #[test]
    fn a_bell_wakes_a_sleeper_every_time() {
        let mut poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(4);
        let (bell, (sender, turns)) = (poller.bell(), std::sync::mpsc::channel());
        let lane = std::thread::spawn(move || turns.iter().for_each(|()| bell.ring()));
        for _ in 0..1000 {
            sender.send(()).unwrap();
            poller.wait(&mut events, None).unwrap();
        }
        drop(sender);
        lane.join().unwrap();
    }
}
