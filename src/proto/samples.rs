//! What the tests of record formats share: a random stream and bytes that real clients made.

/// A repeatable stream of numbers (SplitMix64).
pub(in crate::proto) struct Random(u64);

impl Random {
    pub(in crate::proto) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(in crate::proto) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit` - 1.
    pub(in crate::proto) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Fewer than `limit` bytes of noise.
    pub(in crate::proto) fn bytes_below(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }
}

/// All samples of [`samples.txt`](samples.txt) whose names begin so, with their names.
pub(in crate::proto) fn samples(prefix: &str) -> Vec<(&'static str, Vec<u8>)> {
    include_str!("samples.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, digits)| (name, bytes_of(digits)))
        .collect()
}

/// The sample with exactly this name.
pub(in crate::proto) fn sample(name: &str) -> Vec<u8> {
    let found = samples(name).into_iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("no sample {name}")).1
}

fn bytes_of(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
