//! The cursor that reads messages. Laws 1 to 4 of `wire` are held here.

use super::{ENDS_EARLY, LONG_STRING, MAX_STRING_BYTES, Malformed, Result, Wire};

/// What one array may reserve before its first element has been read.
const RESERVED_BYTES: usize = 16 * 1024;
/// The memory that all arrays of a message may take. 100,000 topics fit, or a million names.
const MOST_ARRAY_BYTES: usize = 16 << 20;

/// A cursor over one message. It knows the version that it reads, so that fields need not be told.
pub struct Reader<'a> {
    bytes: &'a [u8],
    pub(crate) version: i16,
    pub(in crate::proto) flexible: bool,
    /// What is left of `MOST_ARRAY_BYTES`.
    room_bytes: usize,
}

impl<'a> Reader<'a> {
    pub(in crate::proto) fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Reader {
            bytes,
            version,
            flexible,
            room_bytes: MOST_ARRAY_BYTES,
        }
    }

    /// What has not been read.
    pub(in crate::proto) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(ENDS_EARLY)?;
        self.bytes = tail;
        Ok(head)
    }

    pub(super) fn chunk<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(ENDS_EARLY)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// At most five bytes, seven bits each, the lowest first.
    fn uvarint(&mut self) -> Result<u32> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.chunk()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Malformed("varint above 32 bits"));
            }
        }
        Err(Malformed("varint of more than five bytes"))
    }

    /// A length as the dialect writes it, `classic` reading the other form; `None` is null.
    fn length(&mut self, classic: impl Fn(&mut Self) -> Result<i32>) -> Result<Option<usize>> {
        let length = if self.flexible {
            i64::from(self.uvarint()?) - 1
        } else {
            i64::from(classic(self)?)
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(Malformed("negative length")),
        }
    }

    pub(super) fn string(&mut self) -> Result<Option<&'a str>> {
        let Some(length) = self.length(|r| i16::read(r).map(i32::from))? else {
            return Ok(None);
        };
        if length > MAX_STRING_BYTES {
            return Err(LONG_STRING);
        }
        let text = std::str::from_utf8(self.take(length)?);
        text.map(Some).map_err(|_| Malformed("string is not UTF-8"))
    }

    pub(super) fn byte_string(&mut self) -> Result<Option<&'a [u8]>> {
        let length = self.length(i32::read)?;
        length.map(|length| self.take(length)).transpose()
    }

    pub(super) fn array<T: Wire<'a>>(&mut self) -> Result<Option<Vec<T>>> {
        const { assert!(T::MIN_SIZE > 0, "an element may take no bytes at all") };
        let Some(count) = self.length(i32::read)? else {
            return Ok(None);
        };
        if count > self.bytes.len() / T::MIN_SIZE {
            return Err(Malformed("array is longer than its message"));
        }
        let room_bytes = self.room_bytes.checked_sub(count * size_of::<T>());
        self.room_bytes = room_bytes.ok_or(Malformed("arrays of more than 16 MiB of memory"))?;
        let reserved = RESERVED_BYTES / size_of::<T>().max(1);
        let mut items = Vec::with_capacity(count.min(reserved));
        for _ in 0..count {
            items.push(T::read(self)?);
        }
        Ok(Some(items))
    }

    /// The tagged fields that end a flexible struct, in any order; `known` passes over those it does not know.
    pub(crate) fn tags(
        &mut self,
        mut known: impl FnMut(u32, &mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let bytes = self.take(size)?;
            let mut value = Reader { bytes, ..*self };
            known(tag, &mut value)?;
            self.room_bytes = value.room_bytes;
        }
        Ok(())
    }
}
