//! The variable-length integers inside a record: zigzag, then seven bits per byte, low group first.
//!
//! A 32-bit number has at most five bytes and a 64-bit one ten; bits beyond the width are refused, because
//! clients disagree about what they mean. Longer spellings of a small number are legal, as in Kafka.

/// Takes a 32-bit number off the front of `input`; `None` if it is cut short or too wide.
pub(super) fn read_i32(input: &mut &[u8]) -> Option<i32> {
    let raw = u32::try_from(read_unsigned(input, 5)?).ok()?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Takes a 64-bit number off the front of `input`; `None` if it is cut short or too wide.
pub(super) fn read_i64(input: &mut &[u8]) -> Option<i64> {
    let raw = read_unsigned(input, 10)?;
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}

/// Appends a number; 32-bit numbers have the same bytes as the 64-bit numbers of their value.
pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// The bytes that [`write`] appends for this number: 1 to 10.
pub(super) fn size_bytes(value: i64) -> usize {
    let bits = u64::BITS - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn read_unsigned(input: &mut &[u8], limit_bytes: usize) -> Option<u64> {
    let mut value = 0;
    for (index, &byte) in input.iter().take(limit_bytes).enumerate() {
        if index == 9 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *input = &input[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [i64; 13] = [
        0,
        -1,
        1,
        63,
        -64,
        64,
        8191,
        8192,
        i32::MAX as i64,
        i32::MIN as i64,
        i32::MAX as i64 + 1,
        i64::MAX,
        i64::MIN,
    ];

    #[test]
    fn every_edge_comes_back_with_the_size_that_was_promised() {
        for value in EDGES {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            assert_eq!(bytes.len(), size_bytes(value), "{value}");
            let mut input = &bytes[..];
            assert_eq!(read_i64(&mut input), Some(value));
            assert!(input.is_empty());
            assert_eq!(read_i32(&mut &bytes[..]), i32::try_from(value).ok());
        }
    }

    #[test]
    fn a_number_cut_short_is_refused() {
        for value in EDGES {
            let mut bytes = Vec::new();
            write(&mut bytes, value);
            for cut in 0..bytes.len() {
                assert_eq!(read_i64(&mut &bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn bits_beyond_the_width_are_refused_and_padding_is_not() {
        assert_eq!(read_i32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
        assert_eq!(read_i32(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]), None);
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert_eq!(read_i64(&mut &ten[..]), None);
        assert_eq!(read_i32(&mut &[0x82, 0x00][..]), Some(1));
    }
}
