//! Reading a log: whole batches from an offset on, and look-ups by time.
//!
//! A read begins at the batch that holds the offset, even when the offset lies inside it, and ends before the
//! first batch that does not end below the bound (high watermark or last stable offset). It stops
//! short of damage, and of message formats 0 and 1, which a log that an old Kafka began may hold; a read that
//! begins there is an error. Payload goes to sockets as views; whatever looks at records reads through the
//! descriptor.

use super::heads::Head;
use super::log::Log;
use super::segment::{Place, Segment, Span};
use super::shelf::Shelf;
use super::{Found, ReadError, TimedOffset};
use crate::disk::FileRef;
use crate::proto::batch::Batch;
use std::io;

impl Log {
    /// Batches as views for a socket.
    pub(super) fn read(
        &mut self,
        shelf: &mut Shelf,
        (from, until): (i64, i64),
        (max_bytes, at_least_one): (usize, bool),
    ) -> Result<Found, ReadError> {
        let mut found = Found {
            until: from,
            ..Found::default()
        };
        for (slot, span) in self.spans(shelf, (from, until), (max_bytes, at_least_one))? {
            let len = usize::try_from(span.len).map_err(|_| ReadError::Damaged)?;
            let views = self.with_file(shelf, slot, |file| file.view(span.position, len))?;
            found.views.extend(views);
            found.bytes += len;
            found.until = span.until.min(until);
        }
        Ok(found)
    }

    /// The same as bytes of our own.
    pub(super) fn read_raw(
        &mut self,
        shelf: &mut Shelf,
        (from, until): (i64, i64),
        (max_bytes, at_least_one): (usize, bool),
    ) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        for (slot, span) in self.spans(shelf, (from, until), (max_bytes, at_least_one))? {
            let start = bytes.len();
            let len = usize::try_from(span.len).map_err(|_| ReadError::Damaged)?;
            bytes.resize(start + len, 0);
            let rest = &mut bytes[start..];
            self.with_file(shelf, slot, |file| read_all(file, span.position, rest))?;
        }
        Ok(bytes)
    }

    /// Does something with a segment's file.
    fn with_file<R>(
        &mut self,
        shelf: &mut Shelf,
        slot: usize,
        action: impl FnOnce(&FileRef) -> io::Result<R>,
    ) -> io::Result<R> {
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let segment = &mut self.segments[slot];
        let file = segment.file(shelf, place)?;
        action(&file)
    }

    /// Which parts of which segments a read consists of.
    fn spans(
        &mut self,
        shelf: &mut Shelf,
        (mut from, until): (i64, i64),
        (max_bytes, at_least_one): (usize, bool),
    ) -> Result<Vec<(usize, Span)>, ReadError> {
        if from < self.log_start() || from > self.log_end() {
            return Err(ReadError::OutOfRange);
        }
        let until = until.min(self.log_end());
        let mut left = max_bytes as u64;
        let mut spans = Vec::new();
        for slot in self.slot_of(from)..self.segments.len() {
            if from >= until {
                break;
            }
            let must = at_least_one && spans.is_empty();
            let next = self
                .segments
                .get(slot + 1)
                .map_or(self.log_end(), Segment::base);
            match self.span_in(shelf, slot, (from, until, next), (left, must)) {
                Ok(Step::Take(span)) => {
                    left = left.saturating_sub(span.len);
                    spans.push((slot, span));
                    if span.bounded {
                        break;
                    }
                }
                Ok(Step::Nothing) => {}
                Ok(Step::Stop) => break,
                Err(_) if !spans.is_empty() => break,
                Err(error) => return Err(error),
            }
            from = from.max(next);
        }
        Ok(spans)
    }

    fn span_in(
        &mut self,
        shelf: &mut Shelf,
        slot: usize,
        (from, until, next_base): (i64, i64, i64),
        (max_bytes, must): (u64, bool),
    ) -> Result<Step, ReadError> {
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let segment = &mut self.segments[slot];
        let Some(first) = segment.find_offset(shelf, place, from)? else {
            return Ok(Step::Nothing);
        };
        if first.last_offset >= until {
            return Ok(Step::Stop);
        }
        if first.is_old {
            return Err(ReadError::OldFormat);
        }
        if first.size_bytes <= max_bytes {
            let span = segment.span((shelf, place), &first, (until, next_base), max_bytes)?;
            return Ok(Step::Take(span));
        }
        let alone = Span {
            position: first.position,
            len: first.size_bytes,
            until: first.last_offset + 1,
            bounded: true,
        };
        Ok(if must { Step::Take(alone) } else { Step::Stop })
    }

    /// The bases of the segments, ascending, each with the time of its last append (ListOffsets 0).
    #[must_use]
    pub fn segment_bases(&self) -> Vec<(i64, i64)> {
        let bases = self.segments.iter().map(|s| (s.base(), s.modified_ms()));
        bases
            .map(|(base, time)| (base.max(self.log_start()), time))
            .collect()
    }

    /// The first record at or after `timestamp_ms`.
    pub(super) fn offset_for_time(
        &mut self,
        shelf: &mut Shelf,
        timestamp_ms: i64,
    ) -> Result<Option<TimedOffset>, ReadError> {
        for slot in self.slot_of(self.log_start())..self.segments.len() {
            if self.newest_in(shelf, slot)? >= timestamp_ms {
                let from = self.log_start();
                let found = self.first_in(shelf, slot, (from, timestamp_ms))?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// The first record that has the greatest timestamp. As in Kafka, one that lies before the log start counts for as
    /// long as its segment is the first that is served.
    pub(super) fn max_timestamp(
        &mut self,
        shelf: &mut Shelf,
    ) -> Result<Option<TimedOffset>, ReadError> {
        let mut newest = None;
        for slot in self.slot_of(self.log_start())..self.segments.len() {
            let timestamp_ms = self.newest_in(shelf, slot)?;
            if timestamp_ms >= 0 && newest.is_none_or(|(ms, _)| timestamp_ms > ms) {
                newest = Some((timestamp_ms, slot));
            }
        }
        match newest {
            Some((timestamp_ms, slot)) => self.first_in(shelf, slot, (0, timestamp_ms)),
            None => Ok(None),
        }
    }

    pub(super) fn newest_in(&mut self, shelf: &mut Shelf, slot: usize) -> io::Result<i64> {
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        self.segments[slot].newest_ms(shelf, place)
    }

    /// The first record of a segment from an offset on that is at or after a time.
    fn first_in(
        &mut self,
        shelf: &mut Shelf,
        slot: usize,
        (from, timestamp_ms): (i64, i64),
    ) -> Result<Option<TimedOffset>, ReadError> {
        let max_unpacked_bytes = self.config().convert_max_bytes;
        let place = Place {
            id: self.id,
            dir: &self.dir,
        };
        let segment = &mut self.segments[slot];
        let mut position = segment.position_before_time(shelf, place, timestamp_ms)?;
        let wanted = |head: &Head| {
            head.max_timestamp_ms >= timestamp_ms && head.last_offset >= from && !head.is_old
        };
        while let Some(head) = segment.find_head(shelf, place, position, wanted)? {
            let file = segment.file(shelf, place)?;
            let found = first_record(&file, &head, (from, timestamp_ms), max_unpacked_bytes)?;
            if found.is_some() {
                return Ok(found);
            }
            position = head.end();
        }
        Ok(None)
    }
}

/// What a segment adds to a read.
enum Step {
    Take(Span),
    /// It has nothing from the offset on; the next one may.
    Nothing,
    /// The read ends here.
    Stop,
}

/// The first record of a batch, from an offset on, at or after a time. Where the records cannot be opened
/// the batch's first offset stands for them.
fn first_record(
    file: &FileRef,
    head: &Head,
    (from, timestamp_ms): (i64, i64),
    max_unpacked_bytes: usize,
) -> io::Result<Option<TimedOffset>> {
    let mut bytes = vec![0; usize::try_from(head.size_bytes).map_err(io::Error::other)?];
    read_all(file, head.position, &mut bytes)?;
    let whole = TimedOffset {
        timestamp: head.max_timestamp_ms,
        offset: head.base_offset.max(from),
        leader_epoch: head.leader_epoch,
    };
    let Ok((batch, _)) = Batch::split_first(&bytes) else {
        return Ok(Some(whole));
    };
    let Ok(records) = batch.decompress(max_unpacked_bytes) else {
        return Ok(Some(whole));
    };
    for record in batch.records(&records).map_while(Result::ok) {
        let timestamp = batch.header().record_timestamp(record.timestamp_delta);
        let offset = head.base_offset + i64::from(record.offset_delta);
        if timestamp >= timestamp_ms && offset >= from {
            return Ok(Some(TimedOffset {
                timestamp,
                offset,
                ..whole
            }));
        }
    }
    Ok(None)
}

/// Fills `bytes`; a file that ends before is an error.
fn read_all(file: &FileRef, position: u64, bytes: &mut [u8]) -> io::Result<()> {
    if file.read_at(position, bytes)? == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
