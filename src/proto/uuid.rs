//! Ids of sixteen bytes, shown as Kafka shows them: 22 characters of URL-safe base64 without padding.

use std::fmt::{self, Write};
use std::str::FromStr;

/// A topic id, a directory id, a cluster id.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// The text is no id of 22 base64 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadUuid;

impl fmt::Display for BadUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of 22 base64 characters")
    }
}

impl std::error::Error for BadUuid {}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_CHARS: u32 = 22;

impl Uuid {
    /// "No id": what old requests and absent topics carry.
    pub const ZERO: Uuid = Uuid([0; 16]);
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The 128 bits fill 21 characters and two bits of the last one, whose other four are zero.
        let bits = u128::from_be_bytes(self.0);
        for at in 0..TEXT_CHARS {
            let sextet = match at {
                21 => bits << 4,
                _ => bits >> (122 - 6 * at),
            };
            f.write_char(char::from(ALPHABET[(sextet & 63) as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = BadUuid;

    fn from_str(text: &str) -> Result<Uuid, BadUuid> {
        let (last, head) = text.as_bytes().split_last().ok_or(BadUuid)?;
        if text.len() != TEXT_CHARS as usize {
            return Err(BadUuid);
        }
        let mut bits = 0;
        for &character in head {
            bits = bits << 6 | sextet(character)?;
        }
        match sextet(*last)? {
            last if last & 15 == 0 => Ok(Uuid((bits << 2 | last >> 4).to_be_bytes())),
            _ => Err(BadUuid),
        }
    }
}

fn sextet(character: u8) -> Result<u128, BadUuid> {
    let value = ALPHABET.iter().position(|&c| c == character);
    value.map(|value| value as u128).ok_or(BadUuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_kafka_prints_it() {
        // Kafka's own METADATA_TOPIC_ID is 0x00..01.
        let mut bytes = [0; 16];
        assert_eq!(Uuid(bytes).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        bytes[15] = 1;
        assert_eq!(Uuid(bytes).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let all = Uuid(std::array::from_fn(|i| 0xf0 + i as u8));
        assert_eq!(all.to_string(), "8PHy8_T19vf4-fr7_P3-_w");
    }

    #[test]
    fn what_is_printed_reads_back() {
        for seed in 0..=255u8 {
            let id = Uuid(std::array::from_fn(|i| {
                seed.wrapping_mul(31).wrapping_add(i as u8 * 17)
            }));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(BadUuid), "{text}");
        }
    }
}
