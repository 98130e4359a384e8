//! The writer of messages. What does not fit its encoding is noted as a fault, and nothing of the message counts then.

use super::{LONG_STRING, MAX_STRING_BYTES, MOST_OWN_BYTES, Malformed, Result, Wire};

/// Appends one message to `out`.
pub struct Writer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(crate) version: i16,
    flexible: bool,
    start: usize,
    /// Where bytes that are elsewhere belong, in rising order.
    pub(super) cuts: Vec<usize>,
    /// The first value that did not fit; what was written since is of no use.
    fault: Option<Malformed>,
}

impl<'o> Writer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, version: i16, flexible: bool) -> Self {
        Writer {
            start: out.len(),
            out,
            version,
            flexible,
            cuts: Vec::new(),
            fault: None,
        }
    }

    /// The cuts, or the first value that did not fit.
    pub(super) fn finish(self) -> Result<Vec<usize>> {
        match self.fault {
            None => Ok(self.cuts),
            Some(fault) => Err(fault),
        }
    }

    fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    pub(super) fn string(&mut self, text: Option<&str>) {
        let length = match text.map(str::len) {
            Some(length) if length > MAX_STRING_BYTES => return self.fail(LONG_STRING),
            Some(length) => length as i16,
            None => -1,
        };
        if self.flexible {
            self.uvarint((i32::from(length) + 1) as u32);
        } else {
            length.write(self);
        }
        self.blob(text.unwrap_or("").as_bytes());
    }

    /// The length of bytes, or the count of an array.
    pub(super) fn length(&mut self, length: Option<usize>) {
        let length = match length.map(i32::try_from) {
            Some(Ok(length)) => length,
            Some(Err(_)) => return self.fail(Malformed("array or bytes above 2147483647")),
            None => -1,
        };
        if self.flexible {
            self.uvarint(length.wrapping_add(1) as u32);
        } else {
            length.write(self);
        }
    }

    pub(super) fn byte_string(&mut self, bytes: Option<&[u8]>) {
        self.length(bytes.map(<[u8]>::len));
        self.blob(bytes.unwrap_or(&[]));
    }

    /// Appends bytes, if the message has room for them and all that is there.
    fn blob(&mut self, bytes: &[u8]) {
        match self.out.len() - self.start + bytes.len() {
            ..=MOST_OWN_BYTES => self.out.extend_from_slice(bytes),
            _ => self.fail(Malformed("message above 64 MiB")),
        }
    }

    pub(super) fn array<'a, T: Wire<'a>>(&mut self, items: Option<&[T]>) {
        self.length(items.map(<[T]>::len));
        for item in items.unwrap_or(&[]) {
            if self.fault.is_some() {
                return;
            }
            self.item(item);
        }
    }

    /// An array whose items are made one after the other, and none behind a fault.
    pub(super) fn made<'a, T: Wire<'a>>(&mut self, mut items: impl ExactSizeIterator<Item = T>) {
        self.length(Some(items.len()));
        while self.fault.is_none()
            && let Some(item) = items.next()
        {
            self.item(&item);
        }
    }

    fn item<'a, T: Wire<'a>>(&mut self, item: &T) {
        item.write(self);
        self.blob(&[]);
    }

    /// Begins the tagged fields with a count of zero, and says where the count stands; `None` in the classic
    /// dialect, which has no tags. No struct has as many as 128, so the count is always this one byte.
    pub(crate) fn open_tags(&mut self) -> Option<usize> {
        self.flexible.then(|| {
            self.out.push(0);
            self.out.len() - 1
        })
    }

    /// Appends a tagged field; its size, known last, is turned round to stand before its value.
    pub(crate) fn tag<'a, T: Wire<'a>>(&mut self, count_at: usize, tag: u32, value: &T) {
        self.out[count_at] += 1;
        self.uvarint(tag);
        let start = self.out.len();
        value.write(self);
        let end = self.out.len();
        self.uvarint(u32::try_from(end - start).unwrap_or(u32::MAX));
        let size_bytes = self.out.len() - end;
        self.out[start..].rotate_right(size_bytes);
    }

    fn fail(&mut self, fault: Malformed) {
        self.fault.get_or_insert(fault);
    }
}
