//! Compression of records: one table of codecs, each behind its Cargo feature.
//!
//! Decompressing is done for strangers, so the output has a cap that holds while it grows, and no size that the
//! input declares is ever reserved. Called by api/ and by the cleaner only: produce needs it to check records,
//! old fetches and compaction to rewrite them; everything else hands batches on as they are.

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
    NotBuilt(Codec),
    /// The output would be larger than the caller allows.
    CapExceeded,
    /// The input is not what the codec writes.
    Corrupt(Codec),
}

impl fmt::Display for CodecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Unknown => write!(out, "the codec number is unknown"),
            CodecError::NotBuilt(codec) => write!(out, "built without {}", codec.name()),
            CodecError::CapExceeded => write!(out, "more uncompressed data than allowed"),
            CodecError::Corrupt(codec) => write!(out, "not valid {} data", codec.name()),
        }
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

    /// Gives back what was compressed, at most `cap_bytes` of it; the input itself if it is not compressed.
    /// `magic` is the message format around it, which decides how LZ4 frames look.
    pub fn decompress(
        self,
        input: &[u8],
        cap_bytes: usize,
        _magic: i8,
    ) -> Result<Cow<'_, [u8]>, CodecError> {
        match self {
            Codec::None if input.len() > cap_bytes => Err(CodecError::CapExceeded),
            Codec::None => Ok(Cow::Borrowed(input)),
            codec => Err(CodecError::NotBuilt(codec)),
        }
    }

    /// Compresses for a message of this format, in the form that Kafka's own client writes.
    pub fn compress(self, input: &[u8], _magic: i8) -> Result<Cow<'_, [u8]>, CodecError> {
        match self {
            Codec::None => Ok(Cow::Borrowed(input)),
            codec => Err(CodecError::NotBuilt(codec)),
        }
    }
}
