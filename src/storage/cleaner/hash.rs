//! SipHash-2-4 of 128 bits (Aumasson and Bernstein): without the secret nobody finds two keys of one hash.

/// The hash of some bytes.
pub(super) fn of(secret: [u64; 2], bytes: &[u8]) -> [u64; 2] {
    let [a, b] = secret;
    let mut state = State([
        a ^ 0x736f_6d65_7073_6575,
        b ^ 0x646f_7261_6e64_6f6d ^ 0xee,
        a ^ 0x6c79_6765_6e65_7261,
        b ^ 0x7465_6462_7974_6573,
    ]);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state.take(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last[7] = bytes.len() as u8;
    state.take(u64::from_le_bytes(last));
    state.0[2] ^= 0xee;
    let first = state.finish();
    state.0[1] ^= 0xdd;
    [first, state.finish()]
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        (0..2).for_each(|_| self.round());
        self.0[0] ^= word;
    }

    fn finish(&mut self) -> u64 {
        (0..4).for_each(|_| self.round());
        self.0.into_iter().fold(0, |all, word| all ^ word)
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        self.0 = [a, b, c.rotate_left(32), d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_own_hashes_come_out() {
        let secret = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let hashed = |bytes: &[u8]| of(secret, bytes).map(u64::to_le_bytes).concat();
        let empty = 0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128;
        let zero = 0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45_u128;
        assert_eq!(hashed(&[]), empty.to_be_bytes());
        assert_eq!(hashed(&[0]), zero.to_be_bytes());
    }

    #[test]
    fn every_byte_and_the_length_count() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut seen: Vec<[u64; 2]> = (0..40).map(|len| of([1, 2], &bytes[..len])).collect();
        for at in 0..40 {
            let mut other = bytes.clone();
            other[at] ^= 1;
            seen.push(of([1, 2], &other));
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
