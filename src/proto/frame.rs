//! Finds whole frames in the bytes of a connection as they arrive.
//!
//! A frame is an i32 length, big-endian, and that many bytes. The inbox is one buffer and two cursors:
//!
//! ```text
//! 0 ... taken ... start ... waiting ... filled ... free ... buffer.len()
//! ```
//!
//! Its invariant is `start <= filled <= buffer.len()`, checked after every change. Four rules keep its cost to what
//! has arrived:
//!
//! * A length is a claim. It is judged as soon as its four bytes are here, and never allocated for: the buffer at most
//!   doubles what has arrived.
//! * Waiting bytes move to the front only when they are no more than the taken bytes before them, so every byte is
//!   moved less than once for each byte taken.
//! * A buffer that is empty begins at its front again, for nothing.
//! * An empty buffer much larger than the frame that was last in it is given back.

use std::fmt;

/// The bytes that say how long a frame is.
const LENGTH_BYTES: usize = 4;
/// A buffer up to this size is kept while the connection lives.
const KEPT_BYTES: usize = 256 * 1024;

/// A length that no frame may have: negative, zero or above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError {
    /// The length as it was sent, in bytes.
    pub length: i32,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame of {} bytes", self.length)
    }
}

impl std::error::Error for FrameError {}

/// The bytes of one connection that have arrived and are not yet taken.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Inbox {
    /// Room for at least that many arriving bytes; may be more. Say with [`Inbox::filled`] how many came.
    pub fn space(&mut self, at_least: usize) -> &mut [u8] {
        if self.buffer.len() - self.filled < at_least {
            self.compact();
        }
        let needed = self.filled + at_least;
        if self.buffer.len() < needed {
            self.buffer.resize(needed.max(2 * self.filled), 0);
        }
        self.check();
        &mut self.buffer[self.filled..]
    }

    /// So many bytes of the space now hold what arrived.
    ///
    /// # Panics
    /// When that is more than the space.
    pub fn filled(&mut self, count: usize) {
        self.filled += count;
        self.check();
    }

    /// The next frame, without its length, once it is whole. The same one until it is consumed.
    ///
    /// # Errors
    /// When its length is negative, zero or above `limit_bytes`; the stream cannot be read any further then.
    pub fn frame(&self, limit_bytes: usize) -> Result<Option<&[u8]>, FrameError> {
        let waiting = self.waiting();
        let Some((length, rest)) = waiting.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*length);
        match usize::try_from(length) {
            Ok(bytes) if bytes > 0 && bytes <= limit_bytes => Ok(rest.get(..bytes)),
            _ => Err(FrameError { length }),
        }
    }

    /// Takes the next frame away, if it is whole.
    pub fn consume(&mut self) {
        let Ok(Some(frame)) = self.frame(usize::MAX) else {
            return;
        };
        let taken = LENGTH_BYTES + frame.len();
        self.start += taken;
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
            if self.buffer.len() > KEPT_BYTES.max(4 * taken) {
                self.release();
            }
        }
        self.check();
    }

    /// Gives the buffer's memory back if nothing waits in it; for a connection that has fallen quiet.
    pub fn release(&mut self) {
        if self.buffered_bytes() == 0 {
            *self = Inbox::default();
        }
    }

    /// Moves what waits into another inbox's memory, and answers what it was in, empty.
    ///
    /// # Panics
    /// When the other one is not empty.
    pub fn rehouse(&mut self, mut other: Inbox) -> Inbox {
        assert_eq!(other.buffered_bytes(), 0, "two streams in one inbox");
        let waiting = self.waiting();
        other.space(waiting.len())[..waiting.len()].copy_from_slice(waiting);
        other.filled(waiting.len());
        let mut old = std::mem::replace(self, other);
        (old.start, old.filled) = (0, 0);
        old
    }

    /// The first four bytes that wait, for guessing what a stream is that is not Kafka's.
    #[must_use]
    pub fn peek_first_four(&self) -> Option<[u8; 4]> {
        self.waiting().first_chunk().copied()
    }

    /// How many bytes have arrived and are not yet taken.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.filled - self.start
    }

    /// How many bytes of memory the buffer takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn waiting(&self) -> &[u8] {
        &self.buffer[self.start..self.filled]
    }

    fn compact(&mut self) {
        let waiting = self.buffered_bytes();
        if waiting <= self.start {
            self.buffer.copy_within(self.start..self.filled, 0);
            (self.start, self.filled) = (0, waiting);
        }
    }

    fn check(&self) {
        assert!(self.start <= self.filled && self.filled <= self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn arrive(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as i32).to_be_bytes(), payload].concat()
    }

    #[test]
    fn frames_come_out_whole_and_in_order_however_the_bytes_arrive() {
        let frames: Vec<Vec<u8>> = (1..200)
            .map(|n: usize| vec![n as u8; n * n % 977 + 1])
            .collect();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
        for step in [1, 2, 3, 5, 64, 1000, stream.len()] {
            let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
            for bytes in stream.chunks(step) {
                arrive(&mut inbox, bytes);
                while let Some(frame) = inbox.frame(LIMIT).unwrap() {
                    seen.push(frame.to_vec());
                    inbox.consume();
                }
            }
            assert_eq!(seen, frames);
            assert_eq!(inbox.buffered_bytes(), 0);
        }
    }

    #[test]
    fn a_frame_stays_until_it_is_consumed() {
        let mut inbox = Inbox::default();
        arrive(&mut inbox, &framed(b"one"));
        inbox.consume();
        arrive(&mut inbox, &framed(b"two")[..6]);
        inbox.consume();
        assert_eq!(inbox.frame(LIMIT), Ok(None));
        arrive(&mut inbox, b"o");
        assert_eq!(inbox.frame(LIMIT), Ok(Some(&b"two"[..])));
        assert_eq!(inbox.frame(LIMIT), Ok(Some(&b"two"[..])));
    }

    #[test]
    fn a_length_is_judged_by_its_four_bytes_alone() {
        for (length, fits) in [
            (-1, false),
            (0, false),
            (1, true),
            (LIMIT as i32, true),
            (LIMIT as i32 + 1, false),
        ] {
            let mut inbox = Inbox::default();
            arrive(&mut inbox, &i32::to_be_bytes(length)[..3]);
            assert_eq!(inbox.frame(LIMIT), Ok(None));
            arrive(&mut inbox, &i32::to_be_bytes(length)[3..]);
            let expected = if fits {
                Ok(None)
            } else {
                Err(FrameError { length })
            };
            assert_eq!(inbox.frame(LIMIT), expected);
        }
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let mut inbox = Inbox::default();
        arrive(&mut inbox, &100_000_000i32.to_be_bytes());
        assert_eq!(inbox.frame(usize::MAX), Ok(None));
        inbox.space(4096);
        assert!(inbox.held_bytes() <= 2 * 4100);
    }

    #[test]
    fn the_first_four_bytes_can_be_looked_at() {
        let mut inbox = Inbox::default();
        arrive(&mut inbox, b"GET");
        assert_eq!(inbox.peek_first_four(), None);
        arrive(&mut inbox, b" / HTTP/1.1");
        assert_eq!(inbox.peek_first_four(), Some(*b"GET "));
    }

    #[test]
    fn memory_of_a_large_frame_is_given_back_by_the_next_small_one() {
        let mut inbox = Inbox::default();
        arrive(&mut inbox, &framed(&vec![1; LIMIT]));
        inbox.consume();
        arrive(&mut inbox, &framed(b"small"));
        inbox.consume();
        assert_eq!(inbox.held_bytes(), 0);
        arrive(&mut inbox, b"rest");
        inbox.release();
        assert_eq!(inbox.buffered_bytes(), 4);
    }

    #[test]
    fn what_waits_moves_to_memory_of_its_own_size_and_back() {
        let (mut inbox, bytes) = (Inbox::default(), framed(b"second"));
        inbox.space(1 << 16);
        arrive(&mut inbox, &framed(b"first"));
        arrive(&mut inbox, &bytes[..7]);
        inbox.consume();
        let large = inbox.rehouse(Inbox::default());
        assert_eq!(large.buffered_bytes(), 0);
        assert!(large.held_bytes() >= 1 << 16 && inbox.held_bytes() < 16);
        let small = inbox.rehouse(large);
        assert!(small.held_bytes() < 16 && inbox.held_bytes() >= 1 << 16);
        arrive(&mut inbox, &bytes[7..]);
        assert_eq!(inbox.frame(LIMIT), Ok(Some(&b"second"[..])));
    }

    #[test]
    fn a_stream_of_large_frames_keeps_its_buffer() {
        let mut inbox = Inbox::default();
        for _ in 0..3 {
            arrive(&mut inbox, &framed(&vec![1; LIMIT]));
            inbox.consume();
            assert!(inbox.held_bytes() > LIMIT);
        }
    }

    #[test]
    fn a_buffer_that_is_never_empty_does_not_grow() {
        let mut inbox = Inbox::default();
        let stream = framed(&[7; 100]).repeat(2);
        arrive(&mut inbox, &stream[..150]);
        for _ in 0..10_000 {
            inbox.consume();
            arrive(&mut inbox, &stream[46..150]);
        }
        assert_eq!(inbox.buffered_bytes(), 150);
        assert!(inbox.held_bytes() < 2000);
    }
}
