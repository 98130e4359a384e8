//! Zstandard, as RFC 8878 has it: any number of frames one after the other.
//!
//! The decoder holds one window, whose size the frame declares; more than 8 MiB is refused. That covers every
//! level up to 19; levels 20 to 22 want more and are not accepted.

use zstd::bulk;
use zstd::stream::read::Decoder;

use super::{CodecError, read_capped};

/// The binary logarithm of the largest window: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// The level that Kafka's client takes if nobody sets one.
const LEVEL: i32 = 3;

/// The greatest level whose windows are read again.
const LEVEL_MAX: i32 = 19;

pub(super) fn decompress(input: &[u8], cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut decoder = Decoder::with_buffer(input).or(Err(CodecError::Corrupt))?;
    let limited = decoder.window_log_max(WINDOW_LOG_MAX);
    limited.or(Err(CodecError::Corrupt))?;
    read_capped(decoder, cap_bytes)
}

pub(super) fn compress(input: &[u8], level: Option<i32>) -> Result<Vec<u8>, CodecError> {
    let level = level.map_or(LEVEL, |level| level.min(LEVEL_MAX));
    bulk::compress(input, level).or(Err(CodecError::Corrupt))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame that stores "abc" raw, declaring a window of 2^`log` bytes and no content size.
    fn frame_with_window(log: u8) -> Vec<u8> {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
        frame.extend([0x19, 0, 0]);
        frame.extend(b"abc");
        frame
    }

    #[test]
    fn frames_one_after_the_other_are_one_stream() {
        let two = ["one, ", "two"]
            .map(|text| compress(text.as_bytes(), None).unwrap())
            .concat();
        assert_eq!(decompress(&two, 8).unwrap(), b"one, two");
        assert_eq!(decompress(&two, 7), Err(CodecError::CapExceeded));
    }

    #[test]
    fn a_window_beyond_eight_mebibytes_is_refused() {
        assert_eq!(decompress(&frame_with_window(23), 9).unwrap(), b"abc");
        assert_eq!(
            decompress(&frame_with_window(24), 9),
            Err(CodecError::Corrupt)
        );
        assert_eq!(
            decompress(&frame_with_window(41), 9),
            Err(CodecError::Corrupt)
        );
    }
}
