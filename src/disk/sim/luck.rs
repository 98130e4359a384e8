//! Numbers from a seed, and the choice of what a power cut leaves.

use super::Survives;

/// xorshift64*: good enough to pick and never to keep a secret.
#[derive(Clone)]
pub(super) struct Luck(u64);

impl Luck {
    pub(super) fn new(seed: u64) -> Luck {
        // Zero is the one state that xorshift never leaves.
        Luck(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    /// Below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Which of `count` things survive. Of the subsets, none, all and a prefix come up often, because
    /// that is what disks do most.
    pub(super) fn choose(&mut self, count: usize, survives: Survives) -> Vec<bool> {
        let shape = match survives {
            Survives::Nothing => 0,
            Survives::Everything => 1,
            Survives::Some => self.below(6),
        };
        match shape {
            0 => vec![false; count],
            1 => vec![true; count],
            2 => {
                let prefix = self.below(count as u64 + 1);
                (0..count as u64).map(|index| index < prefix).collect()
            }
            _ => (0..count).map(|_| self.coin()).collect(),
        }
    }
}
