//! Every message against Apache Kafka's own bytes, and against bytes that nobody should send.
//!
//! `tests/golden/vectors` holds what Kafka's classes wrote (see `tests/golden/README.md`). A new API costs one row in
//! `messages!` below and one line in `tests/golden/apis.txt`. Vectors named `unknown` have tagged fields that no
//! release knows: they are read like the others but not written back.

mod golden;

use chronikd::proto::header::{RequestHeader, put_response_header};
use chronikd::proto::{ApiKey, Malformed, decode, encode, schema};
use golden::alloc::peak_of;
use golden::text::agree;
use golden::{Vector, vectors};

/// A message as it is shown, and as it is written again.
type Passed = (String, Vec<u8>);

/// What the tests do with one message type.
struct Codec {
    /// Reads it and forgets it.
    read: fn(&[u8], i16, bool) -> Result<(), Malformed>,
    /// Reads it, shows it, and writes it again.
    pass: fn(&[u8], i16, bool) -> Result<Passed, Malformed>,
}

struct Messages {
    api: ApiKey,
    request: Codec,
    response: Codec,
}

macro_rules! codec {
    ($message:ty) => {
        Codec {
            read: |bytes, version, flexible| decode::<$message>(bytes, version, flexible).map(drop),
            pass: |bytes, version, flexible| {
                let message: $message = decode(bytes, version, flexible)?;
                let mut out = Vec::new();
                encode(&message, version, flexible, &mut out)?;
                Ok((format!("{message:?}"), out))
            },
        }
    };
}

macro_rules! messages {
    ($($api:ident: $module:ident $request:ident $response:ident;)*) => {
        const MESSAGES: &[Messages] = &[$( Messages {
            api: ApiKey::$api,
            request: codec!(schema::$module::$request),
            response: codec!(schema::$module::$response),
        }, )*];
    };
}

messages! {
    Produce: produce ProduceRequest ProduceResponse;
    Fetch: fetch FetchRequest FetchResponse;
    ListOffsets: list_offsets ListOffsetsRequest ListOffsetsResponse;
    Metadata: metadata MetadataRequest MetadataResponse;
    OffsetCommit: offset_commit OffsetCommitRequest OffsetCommitResponse;
    OffsetFetch: offset_fetch OffsetFetchRequest OffsetFetchResponse;
    FindCoordinator: find_coordinator FindCoordinatorRequest FindCoordinatorResponse;
    JoinGroup: join_group JoinGroupRequest JoinGroupResponse;
    Heartbeat: heartbeat HeartbeatRequest HeartbeatResponse;
    LeaveGroup: leave_group LeaveGroupRequest LeaveGroupResponse;
    SyncGroup: sync_group SyncGroupRequest SyncGroupResponse;
    DescribeGroups: describe_groups DescribeGroupsRequest DescribeGroupsResponse;
    ListGroups: list_groups ListGroupsRequest ListGroupsResponse;
    ApiVersions: api_versions ApiVersionsRequest ApiVersionsResponse;
    CreateTopics: create_topics CreateTopicsRequest CreateTopicsResponse;
    DeleteTopics: delete_topics DeleteTopicsRequest DeleteTopicsResponse;
    DeleteRecords: delete_records DeleteRecordsRequest DeleteRecordsResponse;
    InitProducerId: init_producer_id InitProducerIdRequest InitProducerIdResponse;
    OffsetForLeaderEpoch: offset_for_leader_epoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse;
    AddPartitionsToTxn: add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse;
    AddOffsetsToTxn: add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse;
    EndTxn: end_txn EndTxnRequest EndTxnResponse;
    WriteTxnMarkers: write_txn_markers WriteTxnMarkersRequest WriteTxnMarkersResponse;
    TxnOffsetCommit: txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse;
    DescribeConfigs: describe_configs DescribeConfigsRequest DescribeConfigsResponse;
    AlterConfigs: alter_configs AlterConfigsRequest AlterConfigsResponse;
    AlterReplicaLogDirs: alter_replica_log_dirs AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse;
    DescribeLogDirs: describe_log_dirs DescribeLogDirsRequest DescribeLogDirsResponse;
    CreatePartitions: create_partitions CreatePartitionsRequest CreatePartitionsResponse;
    DeleteGroups: delete_groups DeleteGroupsRequest DeleteGroupsResponse;
    ElectLeaders: elect_leaders ElectLeadersRequest ElectLeadersResponse;
    IncrementalAlterConfigs: incremental_alter_configs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse;
    AlterPartitionReassignments: alter_partition_reassignments AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse;
    ListPartitionReassignments: list_partition_reassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse;
    OffsetDelete: offset_delete OffsetDeleteRequest OffsetDeleteResponse;
    DescribeQuorum: describe_quorum DescribeQuorumRequest DescribeQuorumResponse;
    UpdateFeatures: update_features UpdateFeaturesRequest UpdateFeaturesResponse;
    DescribeCluster: describe_cluster DescribeClusterRequest DescribeClusterResponse;
    DescribeProducers: describe_producers DescribeProducersRequest DescribeProducersResponse;
    UnregisterBroker: unregister_broker UnregisterBrokerRequest UnregisterBrokerResponse;
    DescribeTransactions: describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse;
    ListTransactions: list_transactions ListTransactionsRequest ListTransactionsResponse;
    ListConfigResources: list_config_resources ListConfigResourcesRequest ListConfigResourcesResponse;
    DescribeTopicPartitions: describe_topic_partitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse;
}

/// Calls `check` with every vector of every API, its codec, and whether it is flexible.
fn for_each_vector(mut check: impl FnMut(&Codec, &Vector, bool)) {
    for messages in MESSAGES {
        let info = messages.api.info();
        for vector in vectors(info.name) {
            let codec = match vector.is_request {
                true => &messages.request,
                false => &messages.response,
            };
            check(codec, &vector, info.is_flexible(vector.version));
        }
    }
}

#[test]
fn every_message_of_the_table_has_vectors_at_every_version() {
    let tested: Vec<ApiKey> = MESSAGES.iter().map(|messages| messages.api).collect();
    let served: Vec<ApiKey> = ApiKey::TABLE.iter().map(|row| row.key).collect();
    assert_eq!(tested, served);
    for row in ApiKey::TABLE {
        let vectors = vectors(row.name);
        for (version, is_request) in (row.min..=row.max).flat_map(|v| [(v, true), (v, false)]) {
            let of_it = |v: &&Vector| v.version == version && v.is_request == is_request;
            let count = vectors.iter().filter(of_it).count();
            let expected = 5 + usize::from(row.is_flexible(version));
            assert_eq!(count, expected, "{} {version}", row.name);
        }
        let newest = vectors.iter().map(|vector| vector.version).max();
        assert_eq!(newest, Some(row.max), "{}", row.name);
    }
}

#[test]
fn every_vector_is_read_as_kafka_shows_it_and_written_as_kafka_wrote_it() {
    for_each_vector(|codec, vector, flexible| {
        let (shown, written) = (codec.pass)(&vector.bytes, vector.version, flexible)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        if let Err(difference) = agree(&vector.text, &shown) {
            panic!(
                "{}: {difference}\nKafka {}\nours  {shown}",
                vector.name, vector.text
            );
        }
        if !vector.has_unknown_tags {
            assert_eq!(written, vector.bytes, "{}", vector.name);
        }
    });
}

#[test]
fn headers_are_read_and_written_as_kafka_writes_them() {
    for line in golden::headers() {
        let (header, body) = RequestHeader::parse(&line.request).unwrap();
        assert_eq!(header.api_key.info().name, line.api);
        assert_eq!(header.api_version, line.version);
        assert_eq!(header.correlation_id.to_string(), line.correlation_id);
        assert_eq!(format!("{:?}", header.client_id), line.client_id);
        assert!(body.is_empty());
        let mut out = Vec::new();
        put_response_header(
            header.api_key,
            line.version,
            header.correlation_id,
            &mut out,
        );
        assert_eq!(out, line.response, "{} {}", line.api, line.version);
    }
}

#[test]
fn bytes_behind_a_message_are_ignored() {
    for_each_vector(|codec, vector, flexible| {
        let stray = [&vector.bytes[..], b"\0\xff\x07"].concat();
        let whole = (codec.pass)(&vector.bytes, vector.version, flexible);
        assert_eq!(
            (codec.pass)(&stray, vector.version, flexible),
            whole,
            "{}",
            vector.name
        );
    });
}

#[test]
fn a_message_cut_short_anywhere_is_refused() {
    for_each_vector(|codec, vector, flexible| {
        for end in 0..vector.bytes.len() {
            let read = (codec.read)(&vector.bytes[..end], vector.version, flexible);
            assert!(read.is_err(), "{} cut at {end}", vector.name);
        }
    });
}

/// Lengths that lie. Those of two and four bytes replace as many; varints replace one.
const BOMBS: [(&[u8], usize); 9] = [
    (&[0x7f, 0xff, 0xff, 0xff], 4),
    (&[0xff, 0xff, 0xff, 0xfe], 4),
    (&[0x00, 0xff, 0xff, 0xff], 4),
    (&[0x7f, 0xff], 2),
    (&[0xff, 0xfe], 2),
    (&[0xff, 0xff, 0xff, 0xff, 0x07], 1),
    (&[0xff, 0xff, 0xff, 0xff, 0x0f], 1),
    (
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        1,
    ),
    (
        &[
            0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00,
        ],
        1,
    ),
];

#[test]
fn a_length_bomb_anywhere_neither_panics_nor_allocates_for_its_claim() {
    const EXTRA_BYTES: usize = 64 * 1024;
    for_each_vector(|codec, vector, flexible| {
        for at in 0..vector.bytes.len() {
            for (bomb, width) in BOMBS {
                let mut bytes = vector.bytes.clone();
                bytes.splice(at..bytes.len().min(at + width), bomb.iter().copied());
                let peak = peak_of(|| {
                    let _ = (codec.read)(&bytes, vector.version, flexible);
                });
                assert!(
                    peak <= EXTRA_BYTES,
                    "{}: {peak} bytes for {bomb:x?} at {at}",
                    vector.name
                );
            }
        }
    });
}

#[test]
fn a_count_that_a_large_message_could_hold_reserves_little_before_its_elements_are_read() {
    // A quarter of a million topics, as many as may be, of 0xff bytes: the first has a name of length -1.
    let mut bytes = vec![0xff; 1 << 20];
    bytes[..16].copy_from_slice(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\x03\xff\xff");
    let peak = peak_of(|| {
        let read = decode::<schema::fetch::FetchRequest>(&bytes, 0, false);
        assert_eq!(read, Err(Malformed("null string")));
    });
    assert!((1..=64 * 1024).contains(&peak), "{peak}");
}

#[test]
fn whatever_is_read_from_damaged_bytes_is_written_and_read_alike() {
    let (mut random, mut accepted) = (Random(0x9e37_79b9_7f4a_7c15), 0);
    for_each_vector(|codec, vector, flexible| {
        for _ in 0..100 {
            let mut bytes = vector.bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.byte();
                }
            }
            let Ok((shown, written)) = (codec.pass)(&bytes, vector.version, flexible) else {
                continue;
            };
            accepted += 1;
            let again = (codec.pass)(&written, vector.version, flexible);
            assert_eq!(
                again,
                Ok((shown, written)),
                "{} as {bytes:02x?}",
                vector.name
            );
        }
    });
    assert!(accepted > 20_000, "only {accepted} were read at all");
}

/// Xorshift: the same bytes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Any byte, but often one of those that mean something.
    fn byte(&mut self) -> u8 {
        match self.below(4) {
            0 => [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff][self.below(6)],
            _ => self.below(256) as u8,
        }
    }
}
