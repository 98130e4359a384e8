//! Latencies, counted in buckets: constant memory, a relative error below 1.6 %, no allocation for a sample.
//!
//! Values below 64 ns have a bucket each; above that every power of two is cut into 64 equal ones:
//!
//! ```text
//! value  1 m m m m m m x x x x x      bucket = 64 * (number of x bits + 1) + m
//! ```

use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUBS: usize = 1 << SUB_BITS;
const BUCKETS: usize = SUBS * (64 - SUB_BITS as usize + 1);

/// How often each latency occurred.
pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let value = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(value)] += 1;
        self.total += 1;
    }

    /// Counts what another one has counted.
    pub(crate) fn add(&mut self, other: &Histogram) {
        let counts = self.counts.iter_mut().zip(&other.counts);
        counts.for_each(|(count, more)| *count += more);
        self.total += other.total;
    }

    /// The latency that this share of all samples does not exceed, in microseconds; 0 without samples.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return highest_of(bucket) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket_of(value: u64) -> usize {
    if value < SUBS as u64 {
        return value as usize;
    }
    let dropped = 63 - value.leading_zeros() - SUB_BITS;
    let mantissa = (value >> dropped) as usize - SUBS;
    SUBS * (dropped as usize + 1) + mantissa
}

/// The highest value that falls into a bucket.
fn highest_of(bucket: usize) -> u64 {
    if bucket < SUBS {
        return bucket as u64;
    }
    let dropped = bucket / SUBS - 1;
    let mantissa = (SUBS + bucket % SUBS) as u64;
    (mantissa << dropped) + ((1 << dropped) - 1)
}

/// Whether buckets and values lead back to each other; the table is not worth reading otherwise.
pub(crate) fn check() {
    for value in (0..63).flat_map(|bit| [1u64 << bit, (1 << bit) + 1, (3 << bit) >> 1]) {
        let high = highest_of(bucket_of(value));
        assert!(
            high >= value && high - value <= value >> SUB_BITS,
            "{value} became {high}"
        );
    }
    let mut histogram = Histogram::default();
    (1..=1000).for_each(|us| histogram.record(Duration::from_micros(us)));
    let p50 = histogram.quantile_us(0.5);
    assert!(
        (500.0..509.0).contains(&p50),
        "the median of 1 to 1000 became {p50}"
    );
}
