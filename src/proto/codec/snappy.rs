//! Snappy in both forms that Kafka's clients write: one raw block, or the stream of snappy-java (xerial).
//!
//! ```text
//! stream:  82 "SNAPPY" 00 | version i32 | lowest compatible version i32 | chunks
//! chunk:   length i32, raw block        (big-endian, 32 KiB of input in each)
//! ```
//!
//! Streams may follow each other: their first four bytes, read as a length, are negative. Raw blocks begin with
//! their uncompressed length and have no checksum. Written is the stream, which old Java consumers insist on.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::CodecError;

const STREAM_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const STREAM_VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
const CHUNK_BYTES: usize = 32 * 1024;

/// No block is larger than this many times its compressed form: a copy of 64 bytes takes at least three.
const MAX_RATIO: usize = 22;

pub(super) fn decompress(input: &[u8], cap_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    if !input.starts_with(&STREAM_MAGIC) {
        append_block(&mut out, input, cap_bytes)?;
        return Ok(out);
    }
    let mut rest = input;
    while !rest.is_empty() {
        if let Some(stream) = rest.strip_prefix(&STREAM_MAGIC) {
            rest = skip_versions(stream)?;
            continue;
        }
        let (length, blocks) = split_i32(rest)?;
        let length = usize::try_from(length).or(Err(CodecError::Corrupt))?;
        let (block, next) = blocks.split_at_checked(length).ok_or(CodecError::Corrupt)?;
        append_block(&mut out, block, cap_bytes)?;
        rest = next;
    }
    Ok(out)
}

pub(super) fn compress(input: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut out = [STREAM_MAGIC, STREAM_VERSIONS].concat();
    let mut encoder = Encoder::new();
    for chunk in input.chunks(CHUNK_BYTES) {
        let block = encoder.compress_vec(chunk).or(Err(CodecError::Corrupt))?;
        out.extend((block.len() as u32).to_be_bytes());
        out.extend(block);
    }
    Ok(out)
}

fn skip_versions(stream: &[u8]) -> Result<&[u8], CodecError> {
    let (version, rest) = split_i32(stream)?;
    let (_lowest_compatible, rest) = split_i32(rest)?;
    match version {
        1.. => Ok(rest),
        _ => Err(CodecError::Corrupt),
    }
}

fn split_i32(bytes: &[u8]) -> Result<(i32, &[u8]), CodecError> {
    let (head, rest) = bytes.split_first_chunk().ok_or(CodecError::Corrupt)?;
    Ok((i32::from_be_bytes(*head), rest))
}

/// Decompresses a raw block behind what is there.
fn append_block(out: &mut Vec<u8>, block: &[u8], cap_bytes: usize) -> Result<(), CodecError> {
    let length_bytes = possible_length(block)?;
    let start = out.len();
    if length_bytes > cap_bytes - start {
        return Err(CodecError::CapExceeded);
    }
    out.resize(start + length_bytes, 0);
    let written = Decoder::new().decompress(block, &mut out[start..]);
    written.map(drop).or(Err(CodecError::Corrupt))
}

/// The uncompressed length that a raw block declares, if so many compressed bytes can give it.
fn possible_length(block: &[u8]) -> Result<usize, CodecError> {
    match decompress_len(block) {
        Ok(length) if length <= block.len().saturating_mul(MAX_RATIO) => Ok(length),
        _ => Err(CodecError::Corrupt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(input: &[u8]) -> Vec<u8> {
        Encoder::new().compress_vec(input).unwrap()
    }

    #[test]
    fn a_raw_block_is_accepted() {
        let input = b"no header, no header, no header".repeat(3);
        assert_eq!(decompress(&raw(&input), input.len()).unwrap(), input);
        assert_eq!(
            decompress(&raw(&input), input.len() - 1),
            Err(CodecError::CapExceeded)
        );
    }

    #[test]
    fn large_inputs_become_chunks_and_streams_may_follow_each_other() {
        let input = b"0123456789abcdef".repeat(5_000);
        let stream = compress(&input).unwrap();
        assert!(stream.starts_with(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"));
        let two = [&stream[..], &stream].concat();
        assert_eq!(decompress(&two, 160_000).unwrap(), input.repeat(2));
        assert_eq!(decompress(&two, 159_999), Err(CodecError::CapExceeded));
    }

    #[test]
    fn a_declared_length_is_not_believed() {
        let block = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x'];
        assert_eq!(possible_length(&block), Err(CodecError::Corrupt));
        assert_eq!(decompress(&block, usize::MAX), Err(CodecError::Corrupt));
        let stream = [&compress(b"").unwrap()[..], &[0x7f, 0xff, 0xff, 0xff, 1]].concat();
        assert_eq!(decompress(&stream, 100), Err(CodecError::Corrupt));
    }

    #[test]
    fn the_densest_block_is_within_the_ratio() {
        let input = vec![0; CHUNK_BYTES];
        let block = raw(&input);
        assert!(block.len() * MAX_RATIO >= input.len());
        assert_eq!(decompress(&block, input.len()).unwrap(), input);
    }

    #[test]
    fn version_zero_is_refused() {
        let mut stream = compress(b"x").unwrap();
        stream[11] = 0;
        assert_eq!(decompress(&stream, 100), Err(CodecError::Corrupt));
    }
}
