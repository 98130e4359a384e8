//! The language: bytes to structs and back. Knows no broker, no disk and no socket.
//!
//! `frame` finds requests in a stream, `header` reads what stands before each, `wire` the message itself, and
//! `schema` declares the messages. `apis!` below is the one list of what is spoken: dispatch, the answer
//! to ApiVersions and the table in chronikd-protocol(7) follow it.

pub mod batch;
pub mod codec;
pub mod error;
pub mod frame;
pub mod header;
pub mod legacy;
#[cfg(test)]
mod samples;
pub mod schema;
mod uuid;
pub(crate) mod wire;

pub use uuid::{BadUuid, Uuid};
pub use wire::{
    MOST_OWN_BYTES, Malformed, Maybe, Records, Text, Wire, decode, encode, encode_made,
};

/// One API as it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiInfo {
    /// Its key.
    pub key: ApiKey,
    /// Kafka's name of it.
    pub name: &'static str,
    /// The oldest version served.
    pub min: i16,
    /// The newest version served.
    pub max: i16,
    /// From this version on, messages and headers are flexible (KIP-482).
    pub flexible_from: i16,
}

impl ApiInfo {
    /// Whether that version is served.
    #[must_use]
    pub fn serves(&self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// Whether messages of that version are flexible.
    #[must_use]
    pub fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }
}

/// Declares the APIs, in rising order of their keys: `key => Name, versions, flexible from`.
macro_rules! apis {
    ($($key:literal => $name:ident, $min:literal ..= $max:literal, $flexible:literal;)*) => {
        /// The APIs that are served, by the numbers they have on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $( #[doc = concat!("Versions ", $min, " to ", $max, ".")] $name = $key, )*
        }

        impl ApiKey {
            /// All of them, in rising order of their keys.
            pub const TABLE: &'static [ApiInfo] = &[$( ApiKey::$name.info(), )*];

            /// Its row of the table.
            #[must_use]
            pub const fn info(self) -> ApiInfo {
                match self {
                    $( ApiKey::$name => ApiInfo {
                        key: self,
                        name: stringify!($name),
                        min: $min,
                        max: $max,
                        flexible_from: $flexible,
                    }, )*
                }
            }

            /// The API of that number, if it is served.
            #[must_use]
            pub fn from_wire(key: i16) -> Option<ApiKey> {
                match key {
                    $( $key => Some(ApiKey::$name), )*
                    _ => None,
                }
            }
        }
    };
}

apis! {
    0  => Produce,                 0..=13, 9;
    1  => Fetch,                   0..=18, 12;
    2  => ListOffsets,             0..=11, 6;
    3  => Metadata,                0..=13, 9;
    8  => OffsetCommit,            0..=10, 8;
    9  => OffsetFetch,             0..=10, 6;
    10 => FindCoordinator,         0..=6,  3;
    11 => JoinGroup,               0..=9,  6;
    12 => Heartbeat,               0..=4,  4;
    13 => LeaveGroup,              0..=5,  4;
    14 => SyncGroup,               0..=5,  4;
    15 => DescribeGroups,          0..=6,  5;
    16 => ListGroups,              0..=5,  3;
    18 => ApiVersions,             0..=4,  3;
    19 => CreateTopics,            0..=7,  5;
    20 => DeleteTopics,            0..=6,  4;
    21 => DeleteRecords,           0..=2,  2;
    22 => InitProducerId,          0..=5,  2;
    23 => OffsetForLeaderEpoch,    0..=4,  4;
    24 => AddPartitionsToTxn,      0..=5,  3;
    25 => AddOffsetsToTxn,         0..=4,  3;
    26 => EndTxn,                  0..=5,  3;
    27 => WriteTxnMarkers,         1..=2,  1;
    28 => TxnOffsetCommit,         0..=5,  3;
    32 => DescribeConfigs,         0..=4,  4;
    33 => AlterConfigs,            0..=2,  2;
    34 => AlterReplicaLogDirs,     0..=2,  2;
    35 => DescribeLogDirs,         0..=5,  2;
    37 => CreatePartitions,        0..=3,  2;
    42 => DeleteGroups,            0..=2,  2;
    43 => ElectLeaders,            0..=2,  2;
    44 => IncrementalAlterConfigs, 0..=1,  1;
    45 => AlterPartitionReassignments,0..=1,  0;
    46 => ListPartitionReassignments,0..=0,  0;
    47 => OffsetDelete,            0..=0,  1;
    55 => DescribeQuorum,          0..=2,  0;
    57 => UpdateFeatures,          0..=2,  0;
    60 => DescribeCluster,         0..=2,  0;
    61 => DescribeProducers,       0..=0,  0;
    64 => UnregisterBroker,        0..=0,  0;
    65 => DescribeTransactions,    0..=0,  0;
    66 => ListTransactions,        0..=2,  0;
    74 => ListConfigResources,     0..=1,  0;
    75 => DescribeTopicPartitions, 0..=0,  0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_key_leads_back_to_its_row() {
        assert!(ApiKey::TABLE.is_sorted_by_key(|row| row.key as i16));
        for row in ApiKey::TABLE {
            assert_eq!(ApiKey::from_wire(row.key as i16), Some(row.key));
            assert!(row.min <= row.max);
        }
        assert_eq!(ApiKey::from_wire(4), None);
    }

    #[test]
    fn a_version_is_served_and_flexible_by_its_row() {
        let produce = ApiKey::Produce.info();
        assert!(
            !produce.serves(-1) && produce.serves(0) && produce.serves(13) && !produce.serves(14)
        );
        assert!(!produce.is_flexible(8) && produce.is_flexible(9));
    }
}
