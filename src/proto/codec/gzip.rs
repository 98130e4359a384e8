//! gzip, as RFC 1952 has it: any number of members one after the other, which Java's reader takes as one stream.
//!
//! Every member's checksum is verified. Bytes behind the last member that begin no other are refused.

use std::io::Write;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{CodecError, read_capped};

pub(super) fn decompress(input: &[u8], cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
    read_capped(MultiGzDecoder::new(input), cap_bytes)
}

pub(super) fn compress(input: &[u8], level: Option<i32>) -> Result<Vec<u8>, CodecError> {
    let level = level.map_or_else(Compression::default, |level| {
        Compression::new(level.clamp(1, 9).unsigned_abs())
    });
    let mut encoder = GzEncoder::new(Vec::new(), level);
    let written = encoder.write_all(input).and_then(|()| encoder.finish());
    written.or(Err(CodecError::Corrupt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_one_after_the_other_are_one_stream() {
        let two = ["one, ", "two"]
            .map(|text| compress(text.as_bytes(), None).unwrap())
            .concat();
        assert_eq!(decompress(&two, 8).unwrap(), b"one, two");
        assert_eq!(decompress(&two, 7), Err(CodecError::CapExceeded));
    }

    #[test]
    fn bytes_behind_the_last_member_are_refused() {
        let mut bytes = compress(b"one", None).unwrap();
        bytes.extend(b"xx");
        assert_eq!(decompress(&bytes, 100), Err(CodecError::Corrupt));
    }
}
