//! The LZ4 frame format, as far as Kafka uses it: one frame of independent blocks.
//!
//! ```text
//! frame:   04 22 4d 18 | flags u8 | block size u8 | content size u64? | header checksum u8
//!          blocks | 00 00 00 00 | content checksum u32?                           (little-endian)
//! block:   length u32, highest bit: stored as it is | data | checksum u32?
//! ```
//!
//! The header checksum is the second byte of XXH32 over the header without the magic number. Clients of message
//! format 0 include the magic number (KAFKA-3160): there it is written so, and not checked when read. As in
//! Kafka, dependent blocks are refused and the content size and checksum are skipped. Bytes behind the frame are
//! refused, because clients disagree about them.

use lz4_flex::block;
use twox_hash::XxHash32;

use super::CodecError;

const FRAME_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// Flags of a frame that is written: version 1, independent blocks, no checksums, no content size.
const FLAGS: u8 = VERSION_1 | INDEPENDENT_BLOCKS;
const VERSION_1: u8 = 0x40;
const INDEPENDENT_BLOCKS: u8 = 0x20;
const BLOCK_CHECKSUMS: u8 = 0x10;
const CONTENT_SIZE: u8 = 0x08;
const CONTENT_CHECKSUM: u8 = 0x04;

/// Blocks of 64 KiB, the smallest of the four sizes and the one that Kafka's client writes.
const BLOCK_SIZE: u8 = 0x40;
const BLOCK_BYTES: usize = 64 * 1024;

/// The bit of a block's length that says that the block is not compressed.
const STORED: u32 = 1 << 31;

/// No block is larger than this many times its compressed form: a length of 255 takes one more byte.
const MAX_RATIO: usize = 255;

pub(super) fn decompress(input: &[u8], cap_bytes: usize, magic: i8) -> Result<Vec<u8>, CodecError> {
    let mut input = input;
    let frame = Frame::read(&mut input, magic)?;
    let mut out = Vec::new();
    loop {
        let length = u32::from_le_bytes(take(&mut input)?);
        if length == 0 {
            break;
        }
        frame.append_block(&mut out, length, &mut input, cap_bytes)?;
    }
    if frame.flags & CONTENT_CHECKSUM != 0 {
        take::<4>(&mut input)?;
    }
    match input {
        [] => Ok(out),
        _ => Err(CodecError::Corrupt),
    }
}

pub(super) fn compress(input: &[u8], magic: i8) -> Result<Vec<u8>, CodecError> {
    let mut out = FRAME_MAGIC.to_vec();
    out.extend([FLAGS, BLOCK_SIZE]);
    let checked_from = if magic == 0 { 0 } else { FRAME_MAGIC.len() };
    out.push(header_checksum(&out[checked_from..]));
    for chunk in input.chunks(BLOCK_BYTES) {
        let compressed = block::compress(chunk);
        let (data, stored) = if compressed.len() < chunk.len() {
            (&compressed[..], 0)
        } else {
            (chunk, STORED)
        };
        out.extend((data.len() as u32 | stored).to_le_bytes());
        out.extend(data);
    }
    out.extend([0; 4]);
    Ok(out)
}

struct Frame {
    flags: u8,
    max_block_bytes: usize,
}

impl Frame {
    fn read(input: &mut &[u8], magic: i8) -> Result<Frame, CodecError> {
        if take(input)? != FRAME_MAGIC {
            return Err(CodecError::Corrupt);
        }
        let header = *input;
        let [flags, block_size] = take(input)?;
        if flags & !(BLOCK_CHECKSUMS | CONTENT_SIZE | CONTENT_CHECKSUM) != FLAGS {
            return Err(CodecError::Corrupt);
        }
        if block_size & !0x70 != 0 || block_size < BLOCK_SIZE {
            return Err(CodecError::Corrupt);
        }
        if flags & CONTENT_SIZE != 0 {
            take::<8>(input)?;
        }
        let header = &header[..header.len() - input.len()];
        let [checksum] = take(input)?;
        if magic != 0 && checksum != header_checksum(header) {
            return Err(CodecError::Corrupt);
        }
        let max_block_bytes = 1 << (8 + 2 * (block_size >> 4));
        Ok(Frame {
            flags,
            max_block_bytes,
        })
    }

    fn append_block(
        &self,
        out: &mut Vec<u8>,
        length: u32,
        input: &mut &[u8],
        cap_bytes: usize,
    ) -> Result<(), CodecError> {
        let length_bytes = (length & !STORED) as usize;
        if length_bytes > self.max_block_bytes {
            return Err(CodecError::Corrupt);
        }
        let (data, rest) = input
            .split_at_checked(length_bytes)
            .ok_or(CodecError::Corrupt)?;
        *input = rest;
        if self.flags & BLOCK_CHECKSUMS != 0 {
            let checksum = u32::from_le_bytes(take(input)?);
            if checksum != XxHash32::oneshot(0, data) {
                return Err(CodecError::Corrupt);
            }
        }
        let room_bytes = cap_bytes - out.len();
        if length & STORED == 0 {
            return append_compressed(out, data, self.max_block_bytes, room_bytes);
        }
        if data.len() > room_bytes {
            return Err(CodecError::CapExceeded);
        }
        out.extend(data);
        Ok(())
    }
}

fn append_compressed(
    out: &mut Vec<u8>,
    data: &[u8],
    max_block_bytes: usize,
    room_bytes: usize,
) -> Result<(), CodecError> {
    let start = out.len();
    let bound_bytes = max_block_bytes.min(data.len().saturating_mul(MAX_RATIO));
    out.resize(start + bound_bytes.min(room_bytes), 0);
    match block::decompress_into(data, &mut out[start..]) {
        Ok(written) => {
            out.truncate(start + written);
            Ok(())
        }
        Err(block::DecompressError::OutputTooSmall { .. }) if room_bytes < bound_bytes => {
            Err(CodecError::CapExceeded)
        }
        Err(_) => Err(CodecError::Corrupt),
    }
}

fn header_checksum(header: &[u8]) -> u8 {
    XxHash32::oneshot(0, header).to_le_bytes()[1]
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, rest) = input.split_first_chunk().ok_or(CodecError::Corrupt)?;
    *input = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_checksum_is_right_from_format_1_on_and_wrong_before() {
        let right = compress(b"x", 1).unwrap();
        let wrong = compress(b"x", 0).unwrap();
        assert_eq!((right[6], wrong[6]), (0x82, 0x1a));
        for magic in [1, 2] {
            assert_eq!(decompress(&right, 9, magic).unwrap(), b"x");
            assert_eq!(decompress(&wrong, 9, magic), Err(CodecError::Corrupt));
        }
        assert_eq!(decompress(&right, 9, 0).unwrap(), b"x");
        assert_eq!(decompress(&wrong, 9, 0).unwrap(), b"x");
    }

    #[test]
    fn blocks_are_stored_when_compression_does_not_help() {
        let input: Vec<u8> = (0..=255).collect();
        let frame = compress(&input, 2).unwrap();
        assert_eq!(frame.len(), 7 + 4 + 256 + 4);
        assert_eq!(decompress(&frame, 256, 2).unwrap(), input);
        assert_eq!(decompress(&frame, 255, 2), Err(CodecError::CapExceeded));
    }

    #[test]
    fn optional_parts_are_read() {
        let flags = FLAGS | BLOCK_CHECKSUMS | CONTENT_SIZE | CONTENT_CHECKSUM;
        let mut frame = FRAME_MAGIC.to_vec();
        frame.extend([flags, 0x70]);
        frame.extend(u64::MAX.to_le_bytes());
        frame.push(header_checksum(&frame[4..]));
        frame.extend((3 | STORED).to_le_bytes());
        frame.extend(b"abc");
        frame.extend(XxHash32::oneshot(0, b"abc").to_le_bytes());
        frame.extend([0; 8]);
        assert_eq!(decompress(&frame, 9, 2).unwrap(), b"abc");
        frame[20] = b'z';
        assert_eq!(decompress(&frame, 9, 2), Err(CodecError::Corrupt));
    }

    #[test]
    fn dependent_blocks_trailing_bytes_and_oversized_blocks_are_refused() {
        let good = compress(b"x", 0).unwrap();
        let mut dependent = good.clone();
        dependent[4] = VERSION_1;
        assert_eq!(decompress(&dependent, 9, 0), Err(CodecError::Corrupt));
        let trailing = [&good[..], &[0]].concat();
        assert_eq!(decompress(&trailing, 9, 0), Err(CodecError::Corrupt));
        let mut oversized = good.clone();
        oversized.truncate(7);
        oversized.extend(((BLOCK_BYTES as u32 + 1) | STORED).to_le_bytes());
        oversized.resize(oversized.len() + BLOCK_BYTES + 1 + 4, 0);
        assert_eq!(
            decompress(&oversized, usize::MAX, 0),
            Err(CodecError::Corrupt)
        );
    }

    #[test]
    fn a_block_that_grows_beyond_the_frame_s_size_is_refused() {
        let data = block::compress(&vec![0; BLOCK_BYTES + 1]);
        let mut frame = compress(b"", 2).unwrap();
        frame.truncate(7);
        frame.extend((data.len() as u32).to_le_bytes());
        frame.extend(data);
        frame.extend([0; 4]);
        assert_eq!(decompress(&frame, usize::MAX, 2), Err(CodecError::Corrupt));
    }
}
