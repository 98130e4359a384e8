//! The journal's bytes: file header, record, change. Pure functions; the formats are drawn in the parent.

/// The largest group, in bytes of the record. The broker refuses what would make a larger one.
pub const MAX_GROUP_BYTES: usize = 64 << 20;

/// The newest version, and the one that is written. Version 1 had no snapshots.
pub(super) const VERSION: u16 = 2;
/// The size of a file, unless what it was taken for needed more.
pub(super) const FILE_BYTES: u64 = 1 << 20;
/// Bytes of a file's header.
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes of a record before its body.
pub(super) const RECORD_BYTES: usize = 32;
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
/// Flag of the last record of a clean stop.
pub(super) const CLOSED: u32 = 1;

const MAGIC: [u8; 8] = *b"chronikd";
const TOMBSTONE: u32 = u32::MAX;
/// The two lengths in front of a change.
const CHANGE_BYTES: usize = 8;

/// One entry: the key's new value, or that it has none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// What is remembered; compared as bytes.
    pub key: &'a [u8],
    /// The whole new value; none removes the key.
    pub value: Option<&'a [u8]>,
}

/// The bytes that a group takes in the journal; at most `MAX_GROUP_BYTES` may be appended.
#[must_use]
pub fn group_bytes(changes: &[Change<'_>]) -> usize {
    let body: usize = changes.iter().map(change_bytes).sum();
    RECORD_BYTES + body.next_multiple_of(ALIGN)
}

fn change_bytes(change: &Change<'_>) -> usize {
    CHANGE_BYTES + change.key.len() + change.value.map_or(0, <[u8]>::len)
}

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Journal = 1,
    Snapshot = 2,
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) version: u16,
    pub(super) kind: Kind,
    /// That of the name; the last file that a snapshot covers.
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Zeros in a journal file.
    pub(super) holds: Holds,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holds {
    /// The sequence of the last group that it covers.
    pub(super) sequence: u64,
    /// Changes, of which no two have the same key.
    pub(super) entries: u64,
    /// Bytes behind the header.
    pub(super) bytes: u64,
    /// Those of the last group that it covers.
    pub(super) flags: u32,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged,
    Newer(u16),
}

impl FileHeader {
    /// That of a new journal file.
    pub(super) fn journal(number: u64, salt: u64) -> FileHeader {
        FileHeader {
            version: VERSION,
            kind: Kind::Journal,
            number,
            salt,
            holds: Holds::default(),
        }
    }

    /// That of a new snapshot.
    pub(super) fn snapshot(number: u64, salt: u64, holds: Holds) -> FileHeader {
        FileHeader {
            kind: Kind::Snapshot,
            holds,
            ..FileHeader::journal(number, salt)
        }
    }

    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&(self.kind as u16).to_be_bytes());
        bytes[10..12].copy_from_slice(&self.version.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..12]);
        put_u32(&mut bytes, 12, crc);
        bytes[16..24].copy_from_slice(&self.number.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.holds.sequence.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.holds.entries.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.holds.bytes.to_be_bytes());
        put_u32(&mut bytes, 56, self.holds.flags);
        let crc = crc32c::crc32c(&bytes[..60]);
        put_u32(&mut bytes, 60, crc);
        bytes
    }

    /// Reads the header at the start of a file. The version is looked at before anything that a newer
    /// version may have changed.
    pub(super) fn decode(file: &[u8]) -> Result<FileHeader, HeaderFault> {
        let start = file.first_chunk::<16>().ok_or(HeaderFault::Damaged)?;
        if start[..8] != MAGIC || u32_at(start, 12) != crc32c::crc32c(&start[..12]) {
            return Err(HeaderFault::Damaged);
        }
        let version = u16::from_be_bytes([start[10], start[11]]);
        if version > VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let kind = match (version, u16::from_be_bytes([start[8], start[9]])) {
            (1.., 1) => Kind::Journal,
            (2.., 2) => Kind::Snapshot,
            _ => return Err(HeaderFault::Damaged),
        };
        let bytes = file
            .first_chunk::<HEADER_BYTES>()
            .filter(|bytes| u32_at(*bytes, 60) == crc32c::crc32c(&bytes[..60]))
            .ok_or(HeaderFault::Damaged)?;
        Ok(FileHeader {
            version,
            kind,
            number: u64_at(bytes, 16),
            salt: u64_at(bytes, 24),
            holds: Holds {
                sequence: u64_at(bytes, 32),
                entries: u64_at(bytes, 40),
                bytes: u64_at(bytes, 48),
                flags: u32_at(bytes, 56),
            },
        })
    }

    /// What the checksum of every record in the file begins with.
    pub(super) fn seed(self) -> u32 {
        let number = crc32c::crc32c(&self.number.to_be_bytes());
        crc32c::crc32c_append(number, &self.salt.to_be_bytes())
    }
}

/// A record's header, verified on its own: it also is what a damaged body leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) sequence: u64,
    /// How many records of the same append stand before this one.
    pub(super) index: u32,
    pub(super) flags: u32,
    body_bytes: usize,
    body_crc: u32,
    count: u32,
}

impl RecordHeader {
    /// The header at the start of `bytes`, if one verifies there.
    pub(super) fn read(bytes: &[u8], seed: u32) -> Option<RecordHeader> {
        let bytes = bytes.first_chunk::<RECORD_BYTES>()?;
        let (sequence, index) = (u64_at(bytes, 0), u32_at(bytes, 8));
        // Sequences begin at 1, so this alone sorts out zeros, which are most of what is looked at.
        if sequence <= u64::from(index) {
            return None;
        }
        if u32_at(bytes, 28) != crc32c::crc32c_append(seed, &bytes[..28]) {
            return None;
        }
        Some(RecordHeader {
            sequence,
            index,
            flags: u32_at(bytes, 20),
            body_bytes: u32_at(bytes, 12) as usize,
            body_crc: u32_at(bytes, 16),
            count: u32_at(bytes, 24),
        })
    }

    /// The sequence of the first record of the same append. All before it was synced when this was written.
    pub(super) fn append_start(&self) -> u64 {
        self.sequence - u64::from(self.index)
    }
}

/// A record that verifies from end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) header: RecordHeader,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the start of `bytes`, if one verifies there.
    pub(super) fn read(bytes: &'a [u8], seed: u32) -> Option<Record<'a>> {
        let header = RecordHeader::read(bytes, seed)?;
        let body = bytes.get(RECORD_BYTES..)?.get(..header.body_bytes)?;
        (crc32c::crc32c(body) == header.body_crc).then_some(Record { header, body })
    }

    /// Bytes from the start of this record to that of the next.
    pub(super) fn bytes(&self) -> usize {
        RECORD_BYTES + self.body.len()
    }

    /// Its changes, or nothing if the bytes, though they verify, make no sense to this version.
    pub(super) fn changes(&self) -> Option<Vec<Change<'a>>> {
        if self.header.flags & !CLOSED != 0 || !self.body.len().is_multiple_of(ALIGN) {
            return None;
        }
        let mut rest = self.body;
        let count = self.header.count as usize;
        let mut changes = Vec::with_capacity(count.min(rest.len() / CHANGE_BYTES));
        for _ in 0..count {
            changes.push(take_change(&mut rest)?);
        }
        (rest.len() < ALIGN && rest.iter().all(|&byte| byte == 0)).then_some(changes)
    }
}

fn take_change<'a>(rest: &mut &'a [u8]) -> Option<Change<'a>> {
    let (lengths, bytes) = rest.split_at_checked(CHANGE_BYTES)?;
    let (key, bytes) = bytes.split_at_checked(u32_at(lengths, 0) as usize)?;
    let (value, bytes) = match u32_at(lengths, 4) {
        TOMBSTONE => (None, bytes),
        len => bytes
            .split_at_checked(len as usize)
            .map(|(value, bytes)| (Some(value), bytes))?,
    };
    *rest = bytes;
    Some(Change { key, value })
}

/// Appends a record to `out`. It does not verify before `seal` has been told its file.
///
/// # Panics
/// When the group is larger than `MAX_GROUP_BYTES`.
pub(super) fn push_record(out: &mut Vec<u8>, sequence: u64, flags: u32, changes: &[Change<'_>]) {
    let bytes = group_bytes(changes);
    assert!(bytes <= MAX_GROUP_BYTES, "a group of {bytes} bytes");
    out.reserve(bytes);
    let start = out.len();
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&narrow(bytes - RECORD_BYTES).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&narrow(changes.len()).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    for Change { key, value } in changes {
        out.extend_from_slice(&narrow(key.len()).to_be_bytes());
        out.extend_from_slice(&value.map_or(TOMBSTONE, |v| narrow(v.len())).to_be_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.unwrap_or_default());
    }
    out.resize(start + bytes, 0);
    let crc = crc32c::crc32c(&out[start + RECORD_BYTES..]);
    put_u32(out, start + 16, crc);
}

/// Completes the records of an append: their places in it, and the checksum of the file that they go to.
pub(super) fn seal(records: &mut [u8], seed: u32) {
    let (mut start, mut index) = (0, 0);
    while start < records.len() {
        put_u32(records, start + 8, index);
        let crc = crc32c::crc32c_append(seed, &records[start..start + 28]);
        put_u32(records, start + 28, crc);
        start += record_bytes(&records[start..]);
        index += 1;
    }
}

/// Some records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: usize,
    pub(super) groups: u64,
    pub(super) changes: u64,
}

/// The most of these whole records, from the first on, that have at most `room` bytes.
pub(super) fn prefix(records: &[u8], room: usize) -> Extent {
    let mut taken = Extent::default();
    while taken.bytes < records.len() {
        let record = &records[taken.bytes..];
        let bytes = taken.bytes + record_bytes(record);
        if bytes > room {
            break;
        }
        taken = Extent {
            bytes,
            groups: taken.groups + 1,
            changes: taken.changes + u64::from(u32_at(record, 24)),
        };
    }
    taken
}

/// Bytes of the record at the start of what `push_record` wrote.
pub(super) fn record_bytes(records: &[u8]) -> usize {
    RECORD_BYTES + u32_at(records, 12) as usize
}

/// The length without the zeros at the end.
pub(super) fn used_bytes(bytes: &[u8]) -> usize {
    const BLOCK: usize = 512;
    let is_used = |block: &[u8]| block.iter().fold(0, |all, byte| all | byte) != 0;
    let Some(last) = bytes.chunks(BLOCK).rposition(is_used) else {
        return 0;
    };
    let block = &bytes[last * BLOCK..bytes.len().min((last + 1) * BLOCK)];
    last * BLOCK
        + block
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |at| at + 1)
}

/// A length inside a group, which `MAX_GROUP_BYTES` keeps far below 32 bits.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("a group is shorter than MAX_GROUP_BYTES")
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u32 = 0x5eed;

    fn change<'a>(key: &'a str, value: Option<&'a str>) -> Change<'a> {
        Change {
            key: key.as_bytes(),
            value: value.map(str::as_bytes),
        }
    }

    fn sealed(changes: &[Change<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_record(&mut bytes, 7, 0, changes);
        seal(&mut bytes, SEED);
        bytes
    }

    #[test]
    fn records_are_numbered_within_their_append() {
        let mut records = Vec::new();
        (7..10).for_each(|sequence| push_record(&mut records, sequence, 0, &[]));
        let (first, rest) = records.split_at_mut(RECORD_BYTES);
        seal(first, SEED);
        seal(rest, SEED);
        let starts = records.chunks(RECORD_BYTES).map(|record| {
            let header = RecordHeader::read(record, SEED).unwrap();
            (header.index, header.append_start())
        });
        assert_eq!(starts.collect::<Vec<_>>(), [(0, 7), (0, 8), (1, 8)]);
    }

    #[test]
    fn a_prefix_is_of_whole_records_and_the_longest_that_fits() {
        let groups: [&[Change<'_>]; 3] = [
            &[change("a", Some("one"))],
            &[change("b", None), change("c", Some("a longer value"))],
            &[],
        ];
        let (mut records, mut ends) = (Vec::new(), vec![0]);
        for group in groups {
            push_record(&mut records, 1, 0, group);
            ends.push(records.len());
        }
        for room in 0..records.len() + 9 {
            let fitting = ends.iter().rposition(|&end| end <= room).unwrap();
            let expected = Extent {
                bytes: ends[fitting],
                groups: fitting as u64,
                changes: groups[..fitting]
                    .iter()
                    .map(|group| group.len() as u64)
                    .sum(),
            };
            assert_eq!(prefix(&records, room), expected, "room for {room}");
        }
    }

    #[test]
    fn groups_come_back_as_they_were() {
        let long = "x".repeat(1000);
        let groups: [&[Change<'_>]; 4] = [
            &[],
            &[change("", Some(""))],
            &[change("a", None), change("a", Some("b"))],
            &[change(&long, Some(&long)), change("k", None)],
        ];
        for group in groups {
            let bytes = sealed(group);
            assert_eq!(bytes.len(), group_bytes(group));
            let record = Record::read(&bytes, SEED).unwrap();
            assert_eq!(record.bytes(), bytes.len());
            assert_eq!(record.header.sequence, 7);
            assert_eq!(record.header.append_start(), 7);
            assert_eq!(record.changes().unwrap(), group);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_drawing() {
        let mut expected = Vec::new();
        expected.extend_from_slice(&7u64.to_be_bytes());
        expected.extend_from_slice(&0u32.to_be_bytes());
        expected.extend_from_slice(&16u32.to_be_bytes());
        let body = b"\0\0\0\x01\xff\xff\xff\xffk\0\0\0\0\0\0\0";
        expected.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
        expected.extend_from_slice(&0u32.to_be_bytes());
        expected.extend_from_slice(&1u32.to_be_bytes());
        let crc = crc32c::crc32c_append(SEED, &expected);
        expected.extend_from_slice(&crc.to_be_bytes());
        expected.extend_from_slice(body);
        assert_eq!(sealed(&[change("k", None)]), expected);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let bytes = sealed(&[change("key", Some("value")), change("gone", None)]);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::read(&bytes, SEED), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_none() {
        let bytes = sealed(&[change("key", Some("value"))]);
        for len in 0..bytes.len() {
            assert_eq!(Record::read(&bytes[..len], SEED), None, "{len} bytes");
        }
    }

    #[test]
    fn a_record_of_another_file_does_not_verify() {
        let header = FileHeader::journal(1, 9);
        let mut bytes = Vec::new();
        push_record(&mut bytes, 1, 0, &[change("k", None)]);
        seal(&mut bytes, header.seed());
        assert!(Record::read(&bytes, header.seed()).is_some());
        for other in [FileHeader::journal(2, 9), FileHeader::journal(1, 8)] {
            assert_eq!(Record::read(&bytes, other.seed()), None);
        }
    }

    #[test]
    fn lengths_and_counts_that_lie_are_no_changes() {
        let body =
            sealed(&[change("key", Some("value")), change("gone", None)])[RECORD_BYTES..].to_vec();
        let header = RecordHeader {
            sequence: 1,
            index: 0,
            flags: 0,
            body_bytes: body.len(),
            body_crc: 0,
            count: 2,
        };
        let read = |header: RecordHeader, body: &[u8]| Record { header, body }.changes().is_some();
        assert!(read(header, &body));
        for count in [0, 1, 3, u32::MAX] {
            assert!(!read(RecordHeader { count, ..header }, &body), "{count}");
        }
        assert!(!read(RecordHeader { flags: 2, ..header }, &body));
        for at in [0, 4] {
            let mut body = body.clone();
            put_u32(&mut body, at, u32::MAX - 1);
            assert!(!read(header, &body), "length at {at}");
        }
    }

    #[test]
    fn a_file_header_comes_back_and_its_bits_are_guarded() {
        let holds = Holds {
            sequence: 1,
            entries: 2,
            bytes: 3,
            flags: CLOSED,
        };
        let header = FileHeader::snapshot(3, u64::MAX, holds);
        let bytes = header.encode();
        assert_eq!(FileHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FileHeader::decode(&bytes), Err(HeaderFault::Damaged));
        }
        for len in 0..bytes.len() {
            assert_eq!(FileHeader::decode(&bytes[..len]), Err(HeaderFault::Damaged));
        }
    }

    #[test]
    fn only_sixteen_bytes_are_asked_of_a_newer_version() {
        let mut bytes = FileHeader::journal(1, 1).encode();
        bytes[10..12].copy_from_slice(&(VERSION + 1).to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..12]);
        put_u32(&mut bytes, 12, crc);
        assert_eq!(
            FileHeader::decode(&bytes[..16]),
            Err(HeaderFault::Newer(VERSION + 1))
        );
    }

    #[test]
    fn used_bytes_end_at_the_last_byte_that_is_not_zero() {
        for len in [0, 1, 511, 512, 513, 2000] {
            let mut bytes = vec![0; len];
            assert_eq!(used_bytes(&bytes), 0);
            for at in 0..len {
                bytes.fill(0);
                bytes[at] = 1;
                assert_eq!(used_bytes(&bytes), at + 1);
            }
        }
    }
}
