//! Replies on their way to one peer: own bytes and pieces of files, interleaved, in request order.
//!
//! ```text
//! own     [ sent | head 0..                                    end ]
//! pieces    Own 120, round 0 | File 64 KiB, round 0 | Own 58, round 7 | ...
//!           `------ may leave now ----------------'   `- waits for round 7
//! ```
//!
//! Invariants: the lengths of the `Own` pieces add up to `own.len() - head`; no piece is empty; `pinned_bytes` is what
//! the `File` pieces still have to send. A piece leaves only when its round is durable, and nothing overtakes it.
//! An outbox that has been emptied holds next to no memory.

use super::Limits;
use crate::api::Out;
use crate::disk::View;
use crate::proto::MOST_OWN_BYTES;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Own memory that an empty outbox may keep.
const KEEP_BYTES: usize = 512;
/// Pieces for which an empty outbox may keep memory.
const KEEP_PIECES: usize = 4;
/// The length that stands before every reply.
const LENGTH_BYTES: usize = 4;
/// Own bytes of one reply, header and all, payload not counted. The metadata of a million partitions need less; a
/// request that would take more (millions of partitions that do not exist, say) is answered with the end of its
/// connection.
const MOST_REPLY_BYTES: usize = MOST_OWN_BYTES;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Outbox {
    /// With so many bytes of its own, or of files, it is full.
    full_own_bytes: usize,
    full_pinned_bytes: usize,
    own: Vec<u8>,
    head: usize,
    pieces: VecDeque<Piece>,
    pinned_bytes: usize,
}

/// A reply that no peer would take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

#[derive(Debug)]
struct Piece {
    /// Leaves when this round is durable; 0 = at once.
    round: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// So many bytes of `own`.
    Own(usize),
    /// A piece of a file, of which `sent` bytes have left.
    File { view: View, sent: usize },
}

impl Piece {
    fn len(&self) -> usize {
        match &self.body {
            Body::Own(len) => *len,
            Body::File { view, sent } => view.len() - sent,
        }
    }
}

impl Outbox {
    /// An empty one, which is full at the limits.
    pub(super) fn new(limits: &Limits) -> Outbox {
        Outbox {
            full_own_bytes: limits.outbox_bytes,
            full_pinned_bytes: limits.outbox_pinned_bytes,
            own: Vec::new(),
            head: 0,
            pieces: VecDeque::new(),
            pinned_bytes: 0,
        }
    }

    /// Lends the own bytes to `out`, so that a handler writes where the socket will read. Ends with `seal` or
    /// `discard`, which want the start that is returned.
    pub(super) fn open(&mut self, out: &mut Out) -> usize {
        self.compact();
        std::mem::swap(&mut self.own, &mut out.bytes);
        if out.bytes.capacity() == 0 {
            out.bytes.reserve(KEEP_BYTES);
        }
        out.payloads.clear();
        out.round = 0;
        let start = out.bytes.len();
        out.bytes.extend([0; LENGTH_BYTES]);
        start
    }

    /// Takes the bytes back with a reply in them, and writes the reply's length before it.
    ///
    /// # Errors
    /// When the reply is too large for a peer; then it is gone, as after `discard`.
    pub(super) fn seal(&mut self, start: usize, out: &mut Out) -> Result<(), TooLarge> {
        let own_bytes = out.bytes.len() - start - LENGTH_BYTES;
        let payload_bytes: usize = out.payloads.iter().map(|(_, view)| view.len()).sum();
        let len = match i32::try_from(own_bytes + payload_bytes) {
            Ok(len) if own_bytes <= MOST_REPLY_BYTES => len,
            _ => {
                self.discard(start, out);
                return Err(TooLarge);
            }
        };
        out.bytes[start..start + LENGTH_BYTES].copy_from_slice(&len.to_be_bytes());
        std::mem::swap(&mut self.own, &mut out.bytes);
        let mut written = start;
        for (cut, view) in out.payloads.drain(..) {
            self.push_own(cut - written, out.round);
            self.push_file(view, out.round);
            written = cut;
        }
        self.push_own(self.own.len() - written, out.round);
        Ok(())
    }

    /// Takes the bytes back without the reply.
    pub(super) fn discard(&mut self, start: usize, out: &mut Out) {
        out.bytes.truncate(start);
        out.payloads.clear();
        std::mem::swap(&mut self.own, &mut out.bytes);
        if self.is_empty() {
            self.give_back();
        }
    }

    /// Adds bytes that are not a reply of ours (the sentence for a lost HTTP client).
    pub(super) fn push_raw(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
        self.push_own(bytes.len(), 0);
    }

    fn push_own(&mut self, len: usize, round: u64) {
        if len == 0 {
            return;
        }
        match self.pieces.back_mut() {
            Some(Piece {
                round: last,
                body: Body::Own(have),
            }) if *last == round => *have += len,
            _ => self.pieces.push_back(Piece {
                round,
                body: Body::Own(len),
            }),
        }
    }

    fn push_file(&mut self, view: View, round: u64) {
        if view.is_empty() {
            return;
        }
        self.pinned_bytes += view.len();
        let body = Body::File { view, sent: 0 };
        self.pieces.push_back(Piece { round, body });
    }

    /// Whether nothing is left to send.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the connection must not be run until something has left.
    pub(super) fn is_full(&self) -> bool {
        self.own.len() - self.head >= self.full_own_bytes
            || self.pinned_bytes >= self.full_pinned_bytes
    }

    /// Whether something may leave, given the newest durable round.
    pub(super) fn is_flushable(&self, synced: u64) -> bool {
        self.pieces
            .front()
            .is_some_and(|first| first.round <= synced)
    }

    /// Whether the first piece waits for a round.
    pub(super) fn awaits_round(&self, synced: u64) -> bool {
        self.pieces
            .front()
            .is_some_and(|first| first.round > synced)
    }

    /// Fills `slices` with what may leave now, up to about `limit` bytes, and answers how many slices and bytes.
    pub(super) fn gather<'a>(
        &'a self,
        synced: u64,
        limit: usize,
        slices: &mut [IoSlice<'a>],
    ) -> (usize, usize) {
        let (mut own, mut bytes, mut count) = (self.head, 0, 0);
        let free = self.pieces.iter().take_while(|piece| piece.round <= synced);
        for (piece, slot) in free.zip(slices) {
            if bytes >= limit {
                break;
            }
            let whole = match &piece.body {
                Body::Own(len) => {
                    own += len;
                    &self.own[own - len..own]
                }
                Body::File { view, sent } => &view.bytes()[*sent..],
            };
            let part = &whole[..whole.len().min(limit - bytes)];
            *slot = IoSlice::new(part);
            (bytes, count) = (bytes + part.len(), count + 1);
        }
        (count, bytes)
    }

    /// Forgets `count` bytes that have left.
    ///
    /// # Panics
    /// When that is more than there was.
    pub(super) fn sent(&mut self, mut count: usize) {
        while count > 0 {
            let first = self
                .pieces
                .front_mut()
                .expect("only what was gathered is sent");
            let part = count.min(first.len());
            match &mut first.body {
                Body::Own(len) => {
                    *len -= part;
                    self.head += part;
                }
                Body::File { sent, .. } => {
                    *sent += part;
                    self.pinned_bytes -= part;
                }
            }
            if first.len() == 0 {
                self.pieces.pop_front();
            }
            count -= part;
        }
        if self.pieces.is_empty() {
            self.give_back();
        }
    }

    /// Own memory, in bytes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.own.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    fn give_back(&mut self) {
        self.own.clear();
        self.own.shrink_to(KEEP_BYTES);
        self.head = 0;
        self.pieces.shrink_to(KEEP_PIECES);
    }

    /// Moves the unsent bytes to the front once at least as many have been sent: each byte moves at most once.
    fn compact(&mut self) {
        if self.head > self.own.len() / 2 {
            self.own.drain(..self.head);
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(outbox: &mut Outbox, out: &mut Out, round: u64, parts: &[(&[u8], &[u8])]) {
        let start = outbox.open(out);
        for (own, file) in parts {
            out.bytes.extend_from_slice(own);
            out.payloads
                .push((out.bytes.len(), View::owned(file.to_vec())));
        }
        out.round = round;
        assert_eq!(outbox.seal(start, out), Ok(()));
    }

    fn drain(outbox: &mut Outbox, synced: u64, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); 8];
            let (count, bytes) = outbox.gather(synced, step, &mut slices);
            if bytes == 0 {
                return all;
            }
            for slice in &slices[..count] {
                all.extend_from_slice(slice);
            }
            outbox.sent(bytes);
        }
    }

    #[test]
    fn payloads_stand_where_they_were_cut_in_and_count_in_the_length() {
        for step in 1..40 {
            let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
            reply(&mut outbox, &mut out, 0, &[(b"ab", b"FILE"), (b"c", b"")]);
            reply(&mut outbox, &mut out, 0, &[(b"", b"X"), (b"", b"Y")]);
            let want = [&b"\0\0\0\x07abFILEc"[..], b"\0\0\0\x02XY"].concat();
            assert_eq!(drain(&mut outbox, 0, step), want);
            assert!(outbox.is_empty() && outbox.pinned_bytes == 0);
        }
    }

    #[test]
    fn nothing_overtakes_a_reply_that_waits_for_its_round() {
        let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
        reply(&mut outbox, &mut out, 0, &[(b"a", b"")]);
        reply(&mut outbox, &mut out, 2, &[(b"b", b"")]);
        reply(&mut outbox, &mut out, 0, &[(b"c", b"")]);
        assert_eq!(drain(&mut outbox, 1, 64), b"\0\0\0\x01a");
        assert!(outbox.awaits_round(1) && !outbox.is_flushable(1));
        assert_eq!(drain(&mut outbox, 2, 64), b"\0\0\0\x01b\0\0\0\x01c");
    }

    #[test]
    fn a_discarded_reply_leaves_nothing_behind() {
        let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
        reply(&mut outbox, &mut out, 0, &[(b"a", b"")]);
        let start = outbox.open(&mut out);
        out.bytes.extend_from_slice(b"half an answer");
        out.payloads.push((start + 5, View::owned(vec![0; 9])));
        outbox.discard(start, &mut out);
        reply(&mut outbox, &mut out, 0, &[(b"b", b"")]);
        assert_eq!(drain(&mut outbox, 0, 64), b"\0\0\0\x01a\0\0\0\x01b");
    }

    #[test]
    fn a_reply_that_is_too_large_leaves_nothing_behind() {
        let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
        let start = outbox.open(&mut out);
        out.bytes.resize(start + LENGTH_BYTES + MOST_REPLY_BYTES, 7);
        assert_eq!(outbox.seal(start, &mut out), Ok(()));
        assert_eq!(
            drain(&mut outbox, 0, 1 << 20).len(),
            LENGTH_BYTES + MOST_REPLY_BYTES
        );
        let start = outbox.open(&mut out);
        out.bytes
            .resize(start + LENGTH_BYTES + MOST_REPLY_BYTES + 1, 7);
        assert_eq!(outbox.seal(start, &mut out), Err(TooLarge));
        assert!(outbox.is_empty() && outbox.held_bytes() < 4096);
        reply(&mut outbox, &mut out, 0, &[(b"b", b"")]);
        assert_eq!(drain(&mut outbox, 0, 64), b"\0\0\0\x01b");
    }

    #[test]
    fn an_outbox_is_full_at_either_limit_and_small_when_empty() {
        let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
        reply(&mut outbox, &mut out, 0, &[(&[7; 1 << 20], b"")]);
        assert!(outbox.is_full());
        drain(&mut outbox, 0, 1 << 16);
        assert!(!outbox.is_full() && outbox.own.capacity() <= KEEP_BYTES);
        reply(&mut outbox, &mut out, 0, &[(b"", &[7; 16 << 20])]);
        assert!(outbox.is_full());
        outbox.sent(5);
        assert!(!outbox.is_full());
    }

    #[test]
    fn bytes_already_sent_do_not_pile_up_behind_a_slow_reader() {
        let (mut outbox, mut out) = (Outbox::new(&Limits::default()), Out::default());
        for _ in 0..1000 {
            reply(&mut outbox, &mut out, 0, &[(&[1; 996], b"")]);
            reply(&mut outbox, &mut out, 0, &[(&[1; 996], b"")]);
            outbox.sent(if outbox.own.len() - outbox.head > 9000 {
                3000
            } else {
                1000
            });
        }
        assert!(outbox.own.len() < 40_000, "{}", outbox.own.len());
    }
}
