//! Which answer belongs to which request.
//!
//! Messages here borrow from `'static`: what a script sends or is answered lives until the suite ends, so that a
//! script may keep a name from one answer and use it in any later request.

use std::fmt::Debug;

use chronikd::proto::{ApiKey, Wire, schema};

/// A request.
pub(crate) trait Ask: Wire<'static> {
    /// Its answer.
    type Answer: Wire<'static> + Debug;
    /// Its API.
    const API: ApiKey;
}

macro_rules! asks {
    ($($api:ident: $module:ident::$request:ident $(<$lt:lifetime>)? => $answer:ident $(<$also:lifetime>)?;)*) => { $(
        impl Ask for schema::$module::$request $(<$lt>)? {
            type Answer = schema::$module::$answer $(<$also>)?;
            const API: ApiKey = ApiKey::$api;
        }
    )* };
}

asks! {
    Produce: produce::ProduceRequest<'static> => ProduceResponse<'static>;
    Fetch: fetch::FetchRequest<'static> => FetchResponse<'static>;
    ListOffsets: list_offsets::ListOffsetsRequest<'static> => ListOffsetsResponse<'static>;
    Metadata: metadata::MetadataRequest<'static> => MetadataResponse<'static>;
    ApiVersions: api_versions::ApiVersionsRequest<'static> => ApiVersionsResponse<'static>;
    CreateTopics: create_topics::CreateTopicsRequest<'static> => CreateTopicsResponse<'static>;
    DeleteTopics: delete_topics::DeleteTopicsRequest<'static> => DeleteTopicsResponse<'static>;
    DeleteRecords: delete_records::DeleteRecordsRequest<'static> => DeleteRecordsResponse<'static>;
    InitProducerId: init_producer_id::InitProducerIdRequest<'static> => InitProducerIdResponse;
    OffsetForLeaderEpoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest<'static> => OffsetForLeaderEpochResponse<'static>;
    DescribeCluster: describe_cluster::DescribeClusterRequest => DescribeClusterResponse<'static>;
    FindCoordinator: find_coordinator::FindCoordinatorRequest<'static> => FindCoordinatorResponse<'static>;
    JoinGroup: join_group::JoinGroupRequest<'static> => JoinGroupResponse<'static>;
    SyncGroup: sync_group::SyncGroupRequest<'static> => SyncGroupResponse<'static>;
    Heartbeat: heartbeat::HeartbeatRequest<'static> => HeartbeatResponse;
    LeaveGroup: leave_group::LeaveGroupRequest<'static> => LeaveGroupResponse<'static>;
    OffsetCommit: offset_commit::OffsetCommitRequest<'static> => OffsetCommitResponse<'static>;
    OffsetFetch: offset_fetch::OffsetFetchRequest<'static> => OffsetFetchResponse<'static>;
    OffsetDelete: offset_delete::OffsetDeleteRequest<'static> => OffsetDeleteResponse<'static>;
    DeleteGroups: delete_groups::DeleteGroupsRequest<'static> => DeleteGroupsResponse<'static>;
    ListGroups: list_groups::ListGroupsRequest<'static> => ListGroupsResponse<'static>;
    DescribeGroups: describe_groups::DescribeGroupsRequest<'static> => DescribeGroupsResponse<'static>;
    DescribeProducers: describe_producers::DescribeProducersRequest<'static> => DescribeProducersResponse<'static>;
    AddPartitionsToTxn: add_partitions_to_txn::AddPartitionsToTxnRequest<'static> => AddPartitionsToTxnResponse<'static>;
    AddOffsetsToTxn: add_offsets_to_txn::AddOffsetsToTxnRequest<'static> => AddOffsetsToTxnResponse;
    EndTxn: end_txn::EndTxnRequest<'static> => EndTxnResponse;
    WriteTxnMarkers: write_txn_markers::WriteTxnMarkersRequest<'static> => WriteTxnMarkersResponse<'static>;
    TxnOffsetCommit: txn_offset_commit::TxnOffsetCommitRequest<'static> => TxnOffsetCommitResponse<'static>;
    DescribeTransactions: describe_transactions::DescribeTransactionsRequest<'static> => DescribeTransactionsResponse<'static>;
    ListTransactions: list_transactions::ListTransactionsRequest<'static> => ListTransactionsResponse<'static>;
    UpdateFeatures: update_features::UpdateFeaturesRequest<'static> => UpdateFeaturesResponse<'static>;
    DescribeConfigs: describe_configs::DescribeConfigsRequest<'static> => DescribeConfigsResponse<'static>;
    AlterConfigs: alter_configs::AlterConfigsRequest<'static> => AlterConfigsResponse<'static>;
    IncrementalAlterConfigs: incremental_alter_configs::IncrementalAlterConfigsRequest<'static> => IncrementalAlterConfigsResponse<'static>;
    ListConfigResources: list_config_resources::ListConfigResourcesRequest => ListConfigResourcesResponse<'static>;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsRequest<'static> => DescribeTopicPartitionsResponse<'static>;
    UnregisterBroker: unregister_broker::UnregisterBrokerRequest => UnregisterBrokerResponse<'static>;
    DescribeQuorum: describe_quorum::DescribeQuorumRequest<'static> => DescribeQuorumResponse<'static>;
    DescribeLogDirs: describe_log_dirs::DescribeLogDirsRequest<'static> => DescribeLogDirsResponse<'static>;
    AlterReplicaLogDirs: alter_replica_log_dirs::AlterReplicaLogDirsRequest<'static> => AlterReplicaLogDirsResponse<'static>;
    ListPartitionReassignments: list_partition_reassignments::ListPartitionReassignmentsRequest<'static> => ListPartitionReassignmentsResponse<'static>;
    AlterPartitionReassignments: alter_partition_reassignments::AlterPartitionReassignmentsRequest<'static> => AlterPartitionReassignmentsResponse<'static>;
    ElectLeaders: elect_leaders::ElectLeadersRequest<'static> => ElectLeadersResponse<'static>;
    CreatePartitions: create_partitions::CreatePartitionsRequest<'static> => CreatePartitionsResponse<'static>;
}

/// Keeps something until the suite ends.
pub(crate) fn keep<T: ?Sized>(value: impl Into<Box<T>>) -> &'static T {
    Box::leak(value.into())
}
