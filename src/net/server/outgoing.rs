//! What goes out: replies, our half's end, and sockets that are done with.

use super::super::core::Core;
use super::super::exchange::Fate;
use super::{Server, find};
use crate::broker::wait::ConnId;
use crate::clock::Mono;
use std::io::{self, IoSlice};

/// Bytes in one write, and pieces.
const WRITE_BYTES: usize = 1 << 20;
const WRITE_PIECES: usize = 64;

impl<C: Core> Server<C> {
    /// Looks at every connection to which anything has happened.
    pub(super) fn attend(&mut self, now: Mono) {
        let mut ids = std::mem::take(&mut self.attending);
        loop {
            for &id in &ids {
                self.attend_one(now, id);
            }
            self.exchange.take_touched(&mut ids);
            if ids.is_empty() {
                break;
            }
        }
        ids.append(&mut self.attending);
        self.attending = ids;
    }

    fn attend_one(&mut self, now: Mono, id: ConnId) {
        if let Err(error) = self.flush(now, id) {
            return self.lose(id, &error);
        }
        match self.exchange.fate(id) {
            Fate::Stay => {}
            Fate::Close => return self.close(id),
            Fate::Finish => self.finish(now, id),
        }
        if self.exchange.may_read(id) {
            self.list(id);
        }
    }

    /// One write for each connection and turn; what is left over is for the next turn, or for the socket's next edge.
    fn flush(&mut self, now: Mono, id: ConnId) -> io::Result<()> {
        let Some(socket) = find(&mut self.sockets, id).filter(|socket| socket.writable) else {
            return Ok(());
        };
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let (count, bytes) = self.exchange.gather(id, WRITE_BYTES, &mut slices);
        if count == 0 {
            return Ok(());
        }
        let written = match socket.transport.write(&slices[..count]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        socket.writable = written == bytes;
        self.exchange.sent(now, id, written);
        if socket.writable && self.exchange.is_flushable(id) {
            self.attending.push(id);
        }
        Ok(())
    }

    fn finish(&mut self, now: Mono, id: ConnId) {
        let Some(socket) = find(&mut self.sockets, id) else {
            return;
        };
        // An error means that the peer has gone; reading will find that out.
        if let Err(error) = socket.transport.finish() {
            log::debug!("closing our half: {error}");
        }
        self.exchange.fin_sent(now, id);
    }

    /// The connection broke: nobody is there to be told.
    pub(super) fn lose(&mut self, id: ConnId, error: &io::Error) {
        log::debug!("a connection broke: {error}");
        self.close(id);
    }

    fn close(&mut self, id: ConnId) {
        self.exchange.close(id);
        if find(&mut self.sockets, id).is_some() {
            self.sockets[id.slot as usize] = None;
            self.listeners.resume();
        }
    }
}
