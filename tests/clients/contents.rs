//! What record number `i` of a topic holds, and how a client that reads it has to tell it.
//!
//! Every fifth key is null and every seventh value, but never both (kafka-python refuses that); values are 1 to 3,000
//! bytes long unless a size is asked for, hold a NUL, a byte that is no UTF-8 and a line feed, and compress well.
//! `session.py` and `Client.java` say the same in their languages.

use crate::client::{Client, Stamps};

/// A number of records in one partition, all from one writer.
pub(crate) struct Records<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) writer: &'a Client,
    /// The timestamp of record 0, in milliseconds; the writer's clock starts here at the earliest.
    pub(crate) base_ms: i64,
    /// The length of all values, or None for different ones.
    pub(crate) size: Option<usize>,
}

impl Records<'_> {
    /// The words of a `produce` line that ask for some of them.
    pub(crate) fn words(&self, first: u64, count: u64) -> String {
        let mut words = format!(
            "topic={} partition={} first={first} count={count}",
            self.topic, self.partition
        );
        if self.writer.stamps == Stamps::Given {
            words += &format!(" ts={}", self.base_ms);
        }
        if !self.writer.headers.is_empty() {
            words += &format!(" headers={}", self.writer.headers.join(","));
        }
        if let Some(size) = self.size {
            words += &format!(" size={size}");
        }
        words
    }

    /// Checks what `reader` told about reading the records `first ..`, each at the offset of its number.
    ///
    /// # Panics
    /// At the first difference.
    pub(crate) fn check(&self, reader: &Client, first: u64, count: u64, told: &[String]) {
        let names = (self.writer.name, reader.name);
        assert_eq!(told.len() as u64, count, "{names:?}: {}", self.topic);
        for (i, fact) in (first..).zip(told) {
            let words: Vec<&str> = fact.split(' ').collect();
            let [_, _, _, stamp, ..] = words[..] else {
                panic!("{names:?}: {fact}");
            };
            assert_eq!(*fact, self.fact(reader, i, stamp), "{names:?}: record {i}");
            self.check_stamp(reader, i, stamp);
        }
    }

    /// The whole fact, with the timestamp that was told.
    fn fact(&self, reader: &Client, i: u64, stamp: &str) -> String {
        let key = match i % 5 {
            4 => "-".to_owned(),
            _ => format!("={}-{i}", self.topic),
        };
        let value = match (i % 7, i % 5) {
            (6, 0..=3) => "-".to_owned(),
            _ => self.digest(i),
        };
        let headers = self.headers(reader);
        format!(
            "record {} {i} {stamp} {key} {value} {headers}",
            self.partition
        )
    }

    fn digest(&self, i: u64) -> String {
        let size = self.size.unwrap_or((1 + i * i * 37 % 3000) as usize);
        let mut pattern = format!("{}/{i}/", self.topic).into_bytes();
        pattern.extend_from_slice(b"\x00\xff\n");
        let value: Vec<u8> = pattern.iter().copied().cycle().take(size).collect();
        format!("{size}:{:08x}", crc32fast::hash(&value))
    }

    fn headers(&self, reader: &Client) -> String {
        let shown = |name: &&str| match *name {
            "topic" => format!("topic={}", self.topic),
            "empty" if reader.tells_empty => "empty=".to_owned(),
            name => name.to_owned(),
        };
        if !reader.shows_headers || self.writer.headers.is_empty() {
            return "-".to_owned();
        }
        let shown: Vec<String> = self.writer.headers.iter().map(shown).collect();
        shown.join(",")
    }

    fn check_stamp(&self, reader: &Client, i: u64, stamp: &str) {
        if self.writer.stamps == Stamps::None || reader.stamps == Stamps::None {
            assert_eq!(stamp, "-", "{}: record {i}", reader.name);
            return;
        }
        let stamp: i64 = stamp.parse().unwrap_or(-1);
        let until = match self.writer.stamps {
            Stamps::Given => self.base_ms + i as i64,
            _ => crate::common::now_ms(),
        };
        let from = match self.writer.stamps {
            Stamps::Given => until,
            _ => self.base_ms,
        };
        assert!(
            (from..=until).contains(&stamp),
            "{} read timestamp {stamp} of record {i}, not in {from}..={until}",
            reader.name
        );
    }
}
