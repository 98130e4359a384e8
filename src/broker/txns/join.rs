//! What joins a transaction: partitions and groups, by a request of their own (version 1) or with the first write to
//! them (version 2). The first of them begins the transaction, and its timeout.

use super::super::record::Record;
use super::{BUMPING_VERSION, Claim, Joining, Transactions};
use crate::clock::Now;
use crate::proto::error::ErrorCode;
use crate::storage::PartitionId;
use std::sync::Arc;

impl Transactions {
    /// Adds partitions to the transaction of that producer, and begins it. Also without any partition, as in Kafka.
    ///
    /// # Errors
    /// 49, 90, 51; then none is added.
    pub fn add_partitions(
        &mut self,
        claim: &Claim<'_>,
        partitions: &[PartitionId],
        version: i16,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        let id = self.open_to(claim)?;
        let mut records: Vec<Record> = self.begin(&id, version, now).into_iter().collect();
        let has = |at: &&PartitionId| self.by_id[&id].partitions.contains(at);
        let missing = partitions.iter().filter(|at| !has(at));
        records.extend(missing.map(|&at| Record::TransactionPartition {
            id: Arc::clone(&id),
            at,
        }));
        Ok(records)
    }

    /// Adds a group to the transaction of that producer, and begins it.
    ///
    /// # Errors
    /// 49, 90, 51.
    pub fn add_group(
        &mut self,
        claim: &Claim<'_>,
        group: &str,
        version: i16,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        let id = self.open_to(claim)?;
        let mut records: Vec<Record> = self.begin(&id, version, now).into_iter().collect();
        if !self.by_id[&id].groups.contains(group) {
            let group = group.into();
            records.push(Record::TransactionGroup { id, group });
        }
        Ok(records)
    }

    /// Whether the transaction of that producer has the partition.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when it has not.
    pub fn verify(&self, claim: &Claim<'_>, at: PartitionId) -> Result<(), ErrorCode> {
        let txn = self.claimed(claim)?;
        txn.check_open(claim)?;
        match txn.partitions.contains(&at) {
            true => Ok(()),
            false => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    /// Whether the producer may write to the partition now, and what has to be journaled with that.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when the partition is not in the transaction and does not join it by this.
    pub fn admit(
        &mut self,
        claim: &Claim<'_>,
        at: PartitionId,
        joining: Joining,
        synced_round: u64,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        let txn = self.claimed(claim)?;
        txn.check_open(claim)?;
        if txn.settled_round > synced_round {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        match joining {
            Joining::Added => self.add_partitions(claim, &[at], BUMPING_VERSION, now),
            _ => self.verify(claim, at).map(|()| Vec::new()),
        }
    }

    /// Whether the producer may commit offsets of the group now, and what has to be journaled with that.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when the group is not in the transaction and does not join it by this.
    pub fn admit_group(
        &mut self,
        claim: &Claim<'_>,
        group: &str,
        joining: Joining,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        if joining == Joining::Added {
            return self.add_group(claim, group, BUMPING_VERSION, now);
        }
        let txn = self.claimed(claim)?;
        txn.check_open(claim)?;
        match txn.groups.contains(group) {
            true => Ok(Vec::new()),
            false => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    fn open_to(&self, claim: &Claim<'_>) -> Result<Arc<str>, ErrorCode> {
        let txn = self.claimed(claim)?;
        txn.check_open(claim)?;
        Ok(Arc::clone(&txn.id))
    }

    /// The step into a transaction, unless there is one. Its timeout runs from now on.
    pub(super) fn begin(&mut self, id: &Arc<str>, version: i16, now: Now) -> Option<Record> {
        let txn = self.by_id.get(id).filter(|txn| txn.state().is_idle())?;
        if let Some(timeout_ms) = txn.timeout_ms() {
            let at = now.mono.plus_ms(timeout_ms);
            self.timers.set(Arc::clone(id), at);
        }
        Some(Record::Transaction {
            id: Arc::clone(id),
            standing: txn.standing.begun(version, now.wall_ms),
        })
    }
}
