//! Compression of records: one table of codecs, each behind its Cargo feature.
//!
//! Decompressing is done for strangers, so the output has a cap that holds while it grows, and no size that the
//! input declares is ever reserved. storage/ opens batches to check and to search them, and gives them the codec of a
//! topic that has one; else only api/ and the cleaner rewrite them, for old clients and for compaction. Everything else
//! hands batches on as they are.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(not(feature = "snappy"))]
use absent as snappy;
#[cfg(not(feature = "lz4"))]
use absent_lz4 as lz4;
#[cfg(not(feature = "gzip"))]
use absent_with_levels as gzip;
#[cfg(not(feature = "zstd"))]
use absent_with_levels as zstd;

use std::borrow::Cow;
use std::fmt;

/// How records are compressed; the numbers are those of the attribute bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Raw blocks, or the chunks of snappy-java.
    Snappy = 2,
    /// The LZ4 frame format; with a wrong header checksum in message format 0.
    Lz4 = 3,
    /// RFC 8878, since KIP-110; only in batches of format 2.
    Zstd = 4,
}

/// Why bytes could not be compressed or decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// Nobody has defined this codec number.
    Unknown,
    /// This program was built without the codec.
    NotBuilt,
    /// The output would be larger than the caller allows.
    CapExceeded,
    /// The input is not what the codec writes.
    Corrupt,
}

impl fmt::Display for CodecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            CodecError::Unknown => "the compression codec is unknown",
            CodecError::NotBuilt => "this program was built without the compression codec",
            CodecError::CapExceeded => "the records decompress to more than is allowed",
            CodecError::Corrupt => "the compressed records are damaged",
        })
    }
}

impl std::error::Error for CodecError {}

impl Codec {
    /// All codecs in the order of their numbers.
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    /// The codec with this number in the attributes.
    pub fn from_id(id: u8) -> Option<Codec> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The codec's number in the attributes: 0 to 4.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The codec with this name in `compression.type`.
    pub fn from_name(name: &str) -> Option<Codec> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The codec's name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// Whether this program was built with the codec.
    pub fn is_built(self) -> bool {
        match self {
            Codec::None => true,
            Codec::Gzip => cfg!(feature = "gzip"),
            Codec::Snappy => cfg!(feature = "snappy"),
            Codec::Lz4 => cfg!(feature = "lz4"),
            Codec::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// Gives back what was compressed, at most `cap_bytes` of it; the input itself if it is not compressed.
    /// `magic` is the message format around it, which decides how LZ4 frames look.
    ///
    /// Memory grows with the output and stays below three times the cap and 16 MiB.
    pub fn decompress(
        self,
        input: &[u8],
        cap_bytes: usize,
        magic: i8,
    ) -> Result<Cow<'_, [u8]>, CodecError> {
        match self {
            Codec::None if input.len() > cap_bytes => return Err(CodecError::CapExceeded),
            Codec::None => return Ok(Cow::Borrowed(input)),
            Codec::Gzip => gzip::decompress(input, cap_bytes),
            Codec::Snappy => snappy::decompress(input, cap_bytes),
            Codec::Lz4 => lz4::decompress(input, cap_bytes, magic),
            Codec::Zstd => zstd::decompress(input, cap_bytes),
        }
        .map(Cow::Owned)
    }

    /// Compresses for a message of this format, in the form and with the level that Kafka's own client takes.
    /// Only a codec that is not built in fails.
    pub fn compress(self, input: &[u8], magic: i8) -> Result<Cow<'_, [u8]>, CodecError> {
        self.compress_at(None, input, magic)
    }

    /// The same at another level, by the codec's own counting: gzip has 1 to 9; zstd goes to 19 here, because no more
    /// is read (see `zstd`). Snappy has none, and LZ4 one.
    pub fn compress_at(
        self,
        level: Option<i32>,
        input: &[u8],
        magic: i8,
    ) -> Result<Cow<'_, [u8]>, CodecError> {
        match self {
            Codec::None => return Ok(Cow::Borrowed(input)),
            Codec::Gzip => gzip::compress(input, level),
            Codec::Snappy => snappy::compress(input),
            Codec::Lz4 => lz4::compress(input, magic),
            Codec::Zstd => zstd::compress(input, level),
        }
        .map(Cow::Owned)
    }
}

/// Reads a decoder to its end, if that comes within the cap.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn read_capped(decoder: impl std::io::Read, cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
    use std::io::Read;
    let mut out = Vec::new();
    let one_more = (cap_bytes as u64).saturating_add(1);
    let read = decoder.take(one_more).read_to_end(&mut out);
    if out.len() > cap_bytes {
        return Err(CodecError::CapExceeded);
    }
    read.map(|_| out).or(Err(CodecError::Corrupt))
}

/// Stands in for snappy where it was left out of the build.
#[cfg(not(feature = "snappy"))]
mod absent {
    use super::CodecError;

    pub(super) fn decompress(_input: &[u8], _cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }

    pub(super) fn compress(_input: &[u8]) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }
}

/// Stands in for a codec that has levels.
#[cfg(not(all(feature = "gzip", feature = "zstd")))]
mod absent_with_levels {
    use super::CodecError;

    pub(super) fn decompress(_input: &[u8], _cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }

    pub(super) fn compress(_input: &[u8], _level: Option<i32>) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }
}

/// Stands in for LZ4, which needs to know the message format.
#[cfg(not(feature = "lz4"))]
mod absent_lz4 {
    use super::CodecError;

    pub(super) fn decompress(_: &[u8], _: usize, _: i8) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }

    pub(super) fn compress(_: &[u8], _: i8) -> Result<Vec<u8>, CodecError> {
        Err(CodecError::NotBuilt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples::Random;

    fn built() -> impl Iterator<Item = Codec> {
        Codec::ALL.into_iter().filter(|codec| codec.is_built())
    }

    #[test]
    fn ids_and_names_lead_back() {
        for (id, codec) in (0..).zip(Codec::ALL) {
            assert_eq!(codec.id(), id);
            assert_eq!(Codec::from_id(id), Some(codec));
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
        }
        assert_eq!(Codec::from_id(5), None);
        assert_eq!(Codec::from_name("uncompressed"), None);
    }

    #[test]
    fn whatever_is_compressed_comes_back_at_exactly_its_size() {
        let mut random = Random::new(3);
        for size in [
            0,
            1,
            2,
            100,
            32 * 1024,
            32 * 1024 + 1,
            64 * 1024 + 1,
            300_000,
        ] {
            let noise: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
            let words: Vec<u8> = noise.iter().map(|byte| byte & 3).collect();
            for (codec, input, magic) in built()
                .flat_map(|codec| [(codec, &noise, 0), (codec, &words, 1), (codec, &words, 2)])
            {
                let packed = codec.compress(input, magic).unwrap();
                assert_eq!(codec.decompress(&packed, size, magic).unwrap(), &input[..]);
                if size > 0 {
                    let tight = codec.decompress(&packed, size - 1, magic);
                    assert_eq!(tight, Err(CodecError::CapExceeded), "{codec:?} {size}");
                }
            }
        }
    }

    #[test]
    fn every_level_of_a_codec_is_read_again_and_higher_ones_take_less() {
        let input = b"some text that repeats, and more of another that does not; ".repeat(300);
        for (codec, low, high) in [(Codec::Gzip, 1, 9), (Codec::Zstd, -100, 22)] {
            let packed = [low, high].map(|level| codec.compress_at(Some(level), &input, 2));
            let [Ok(low), Ok(high)] = packed else {
                assert!(!codec.is_built());
                continue;
            };
            assert!(high.len() < low.len(), "{codec:?}");
            for packed in [low, high] {
                assert_eq!(codec.decompress(&packed, input.len(), 2).unwrap(), input);
            }
        }
    }

    #[test]
    fn codecs_left_out_of_the_build_say_so() {
        for codec in Codec::ALL.into_iter().filter(|codec| !codec.is_built()) {
            assert_eq!(codec.compress(b"x", 2), Err(CodecError::NotBuilt));
            assert_eq!(codec.decompress(b"x", 1, 2), Err(CodecError::NotBuilt));
        }
    }

    #[test]
    fn bombs_stop_at_the_cap() {
        let zeros = vec![0; 32 << 20];
        for codec in built().filter(|codec| *codec != Codec::None) {
            let bomb = codec.compress(&zeros, 2).unwrap();
            for cap_bytes in [0, 1, 1_000_000] {
                let stopped = codec.decompress(&bomb, cap_bytes, 2);
                assert_eq!(stopped, Err(CodecError::CapExceeded), "{codec:?}");
            }
        }
    }

    #[test]
    fn input_cut_or_damaged_anywhere_never_panics_and_rarely_passes() {
        let mut random = Random::new(4);
        let input = b"some text that repeats, some text that repeats; ".repeat(4);
        for codec in built().filter(|codec| *codec != Codec::None) {
            let packed = codec.compress(&input, 1).unwrap().into_owned();
            for cut in 0..packed.len() {
                let short = codec.decompress(&packed[..cut], 1000, 1);
                assert!(
                    short.is_err() || short.unwrap().len() < input.len(),
                    "{codec:?} {cut}"
                );
            }
            for _ in 0..3_000 {
                let mut damaged = packed.clone();
                let position = random.below(damaged.len());
                damaged[position] = random.next() as u8;
                if let Ok(out) = codec.decompress(&damaged, 1000, 1) {
                    assert!(out.len() <= 1000);
                }
                let _ = codec.decompress(&random.bytes_below(64), 1000, 0);
            }
        }
    }
}
