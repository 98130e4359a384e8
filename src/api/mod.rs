//! One file for each API; this one dispatches: find the API, decode, call, encode.
//!
//! A handler is a plain function of the broker, the call and the decoded request. It ends with
//! `call.reply(..)`, or says what the request waits for. It changes nothing before that, for a request
//! that waits is asked again.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod codes;
mod common;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_edits;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod logger_levels;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod offsets;
mod produce;
mod produced;
mod refusal;
mod setting_changes;
mod sync_group;
#[cfg(test)]
mod tests;
mod topic_creation;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

use crate::broker::facts::TxnVersion;
use crate::broker::groups::Answer;
use crate::broker::wait::{ConnId, Key, Outcome, Ticket, Wait};
use crate::broker::{Broker, Fact, Told};
use crate::clock::{Mono, Now};
use crate::disk::View;
use crate::proto::error::ErrorCode;
use crate::proto::header::{RequestHeader, put_response_header};
use crate::proto::{self, ApiKey, Malformed, Wire};
use crate::storage::PartitionId;
use std::net::SocketAddr;

/// What is known of a connection, beside its bytes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its id.
    pub conn: ConnId,
    /// The listener's name (`PLAINTEXT`).
    pub listener: std::sync::Arc<str>,
    /// The client's address.
    pub remote: SocketAddr,
    /// The address it connected to, which is what we advertise by default.
    pub local: SocketAddr,
    /// `User:ANONYMOUS` until security exists.
    pub principal: std::sync::Arc<str>,
    /// Name and version of the client's software, from ApiVersions v3+.
    pub software: Option<(String, String)>,
}

/// What a handler may know besides the broker.
pub struct Cx<'c> {
    /// This turn's moment.
    pub now: Now,
    /// When the request was first asked; a retried one keeps it.
    pub arrived: Mono,
    /// The wait is over: answer with what there is.
    pub last_call: bool,
    /// Who asks.
    pub peer: &'c mut Peer,
}

/// A reply in the making. `bytes` may already hold earlier replies; a handler only appends.
#[derive(Debug, Default)]
pub struct Out {
    /// Response header and body, without the frame's length.
    pub bytes: Vec<u8>,
    /// Pieces of files that stand before the byte of that index, in rising order.
    pub payloads: Vec<(usize, View)>,
    /// The reply may leave when this round is durable; 0 = at once.
    pub round: u64,
}

/// One request on its way to its answer.
struct Call<'a, 'c> {
    cx: &'a mut Cx<'c>,
    header: RequestHeader<'a>,
    flexible: bool,
    out: &'a mut Out,
}

impl Call<'_, '_> {
    fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The version of transactions that the client speaks in an API whose versions from `since` on are of the second.
    fn txn_version(&self, since: i16) -> TxnVersion {
        match self.version() < since {
            true => TxnVersion::V1,
            false => TxnVersion::V2,
        }
    }

    /// The reply must not leave before that round is durable.
    fn after(&mut self, round: u64) {
        self.out.round = self.out.round.max(round);
    }

    /// Takes over what the coordinator of transactions says: the reply waits for it, and its code is one that this
    /// version knows.
    fn told<T>(&mut self, told: Told<T>) -> Result<T, ErrorCode> {
        self.after(told.round);
        let known = |code| codes::known(code, self.header.api_key, self.version());
        told.answer.map_err(known)
    }

    /// The right to answer later, for a handler that says `Outcome::Owed`.
    fn ticket(&self) -> Ticket {
        Ticket {
            conn: self.cx.peer.conn,
            correlation_id: self.header.correlation_id,
            api_key: self.header.api_key,
            version: self.header.api_version,
        }
    }

    /// Writes the response: the request is done.
    fn reply<'r, T: Wire<'r>>(&mut self, response: &T) -> Outcome {
        self.reply_with(response, Vec::new())
    }

    /// Writes a response whose `Records::Elsewhere` fields stand, in order, for these pieces.
    fn reply_with<'r, T: Wire<'r>>(&mut self, response: &T, payloads: Vec<Vec<View>>) -> Outcome {
        let ticket = self.ticket();
        let Ok(cuts) = put(&ticket, response, &mut self.out.bytes) else {
            return Outcome::Close("a response that does not fit its encoding");
        };
        assert_eq!(cuts.len(), payloads.len(), "every payload has its place");
        for (cut, views) in cuts.into_iter().zip(payloads) {
            self.out
                .payloads
                .extend(views.into_iter().map(|view| (cut, view)));
        }
        Outcome::Done
    }

    /// Writes a response that is `head` and an array, whose rows are made one after the other.
    fn reply_made<'r, H: Wire<'r>, T: Wire<'r>>(
        &mut self,
        head: &H,
        rows: impl ExactSizeIterator<Item = T>,
    ) -> Outcome {
        let (version, flexible) = (self.version(), self.flexible);
        let out = &mut self.out.bytes;
        let start = out.len();
        put_response_header(
            self.header.api_key,
            version,
            self.header.correlation_id,
            out,
        );
        match proto::encode_made(head, rows, version, flexible, out) {
            Ok(()) => Outcome::Done,
            Err(_) => {
                out.truncate(start);
                Outcome::Close("an answer above 64 MiB")
            }
        }
    }

    /// Waits for partitions that are still being loaded, unless it has waited long enough.
    fn wait_for_loading(&self, loading: Vec<PartitionId>, timeout_ms: i32) -> Option<Outcome> {
        let on = loading.into_iter().map(Key::Partition);
        self.wait_for(on.collect(), timeout_ms)
    }

    /// Waits until one of these is so, unless there is none or it has waited long enough.
    fn wait_for(&self, on: Vec<Key>, timeout_ms: i32) -> Option<Outcome> {
        if on.is_empty() || self.cx.last_call || timeout_ms <= 0 {
            return None;
        }
        let until = self.cx.arrived.plus_ms(i64::from(timeout_ms));
        Some(Outcome::Retry(Wait {
            until,
            on,
            missing: usize::MAX,
        }))
    }
}

/// How long a request that carries no timeout of its own waits for partitions that are being loaded.
const LOADING_TIMEOUT_MS: i32 = 10_000;

/// Handles one request: `frame` is a whole frame without its length.
pub fn handle(broker: &mut Broker, cx: &mut Cx<'_>, frame: &[u8], out: &mut Out) -> Outcome {
    let (header, body) = match RequestHeader::parse(frame) {
        Ok(parsed) => parsed,
        Err(Malformed(why)) => return Outcome::Close(why),
    };
    let api = header.api_key.info();
    log::debug!(
        "{} key={} version={} from={} client_id={:?} correlation_id={}",
        api.name,
        api.key as i16,
        header.api_version,
        cx.peer.remote,
        header.client_id,
        header.correlation_id
    );
    if !api.serves(header.api_version) {
        return match api.key {
            ApiKey::ApiVersions => api_versions::unsupported(&header, out),
            _ => Outcome::Close("an unsupported version of an API"),
        };
    }
    let flexible = api.is_flexible(header.api_version);
    let mut call = Call {
        cx,
        header,
        flexible,
        out,
    };
    let outcome = dispatch(broker, &mut call, body);
    // Nearly every answer shows that a topic exists, or that it does not.
    call.after(broker.topics().round());
    outcome.unwrap_or_else(|Malformed(why)| Outcome::Close(why))
}

fn dispatch(
    broker: &mut Broker,
    call: &mut Call<'_, '_>,
    body: &[u8],
) -> Result<Outcome, Malformed> {
    let (version, flexible) = (call.version(), call.flexible);
    macro_rules! to {
        ($handler:path) => {
            $handler(broker, call, proto::decode(body, version, flexible)?)
        };
    }
    Ok(match call.header.api_key {
        ApiKey::Produce => to!(produce::handle),
        ApiKey::Fetch => to!(fetch::handle),
        ApiKey::ListOffsets => to!(list_offsets::handle),
        ApiKey::Metadata => to!(metadata::handle),
        ApiKey::OffsetCommit => to!(offset_commit::handle),
        ApiKey::OffsetFetch => to!(offset_fetch::handle),
        ApiKey::FindCoordinator => to!(find_coordinator::handle),
        ApiKey::JoinGroup => to!(join_group::handle),
        ApiKey::Heartbeat => to!(heartbeat::handle),
        ApiKey::LeaveGroup => to!(leave_group::handle),
        ApiKey::SyncGroup => to!(sync_group::handle),
        ApiKey::DescribeGroups => to!(describe_groups::handle),
        ApiKey::ListGroups => to!(list_groups::handle),
        ApiKey::ApiVersions => to!(api_versions::handle),
        ApiKey::CreateTopics => to!(create_topics::handle),
        ApiKey::DeleteTopics => to!(delete_topics::handle),
        ApiKey::DeleteRecords => to!(delete_records::handle),
        ApiKey::InitProducerId => to!(init_producer_id::handle),
        ApiKey::OffsetForLeaderEpoch => to!(offset_for_leader_epoch::handle),
        ApiKey::AddPartitionsToTxn => to!(add_partitions_to_txn::handle),
        ApiKey::AddOffsetsToTxn => to!(add_offsets_to_txn::handle),
        ApiKey::EndTxn => to!(end_txn::handle),
        ApiKey::WriteTxnMarkers => to!(write_txn_markers::handle),
        ApiKey::TxnOffsetCommit => to!(txn_offset_commit::handle),
        ApiKey::DescribeConfigs => to!(describe_configs::handle),
        ApiKey::AlterConfigs => to!(alter_configs::handle),
        ApiKey::AlterReplicaLogDirs => to!(alter_replica_log_dirs::handle),
        ApiKey::DescribeLogDirs => to!(describe_log_dirs::handle),
        ApiKey::CreatePartitions => to!(create_partitions::handle),
        ApiKey::DeleteGroups => to!(delete_groups::handle),
        ApiKey::ElectLeaders => to!(elect_leaders::handle),
        ApiKey::IncrementalAlterConfigs => to!(incremental_alter_configs::handle),
        ApiKey::AlterPartitionReassignments => to!(alter_partition_reassignments::handle),
        ApiKey::ListPartitionReassignments => to!(list_partition_reassignments::handle),
        ApiKey::OffsetDelete => to!(offset_delete::handle),
        ApiKey::DescribeQuorum => to!(describe_quorum::handle),
        ApiKey::UpdateFeatures => to!(update_features::handle),
        ApiKey::DescribeCluster => to!(describe_cluster::handle),
        ApiKey::DescribeProducers => to!(describe_producers::handle),
        ApiKey::UnregisterBroker => to!(unregister_broker::handle),
        ApiKey::DescribeTransactions => to!(describe_transactions::handle),
        ApiKey::ListTransactions => to!(list_transactions::handle),
        ApiKey::ListConfigResources => to!(list_config_resources::handle),
        ApiKey::DescribeTopicPartitions => to!(describe_topic_partitions::handle),
    })
}

/// Writes a late answer in the ticket's version.
pub fn answer(ticket: &Ticket, fact: Fact, out: &mut Out) {
    out.round = out.round.max(fact.round);
    match &fact.answer {
        Answer::Joined(joined) => join_group::answer(ticket, joined, out),
        Answer::Synced(synced) => sync_group::answer(ticket, synced, out),
    }
}

/// Appends header and body of a response, and answers its cuts; nothing is appended if it cannot be written.
fn put<'r, T: Wire<'r>>(
    ticket: &Ticket,
    response: &T,
    out: &mut Vec<u8>,
) -> Result<Vec<usize>, Malformed> {
    let Ticket {
        api_key,
        version,
        correlation_id,
        ..
    } = *ticket;
    let start = out.len();
    put_response_header(api_key, version, correlation_id, out);
    let flexible = api_key.info().is_flexible(version);
    proto::encode(response, version, flexible, out).inspect_err(|e| {
        out.truncate(start);
        log::debug!("{}: a response cannot be written: {e}", api_key.info().name);
    })
}
