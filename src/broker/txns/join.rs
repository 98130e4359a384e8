//! What joins a transaction: partitions and groups, by a request of their own (version 1) or with the first write to
//! them (version 2). The first of them begins the transaction.
//!
//! What is answered here is to be journaled; nothing is where everything is in the transaction already.

use super::super::record::Record;
use super::{Claim, Transactions, Txn};
use crate::broker::facts::{TxnFact, TxnTouch, TxnVersion};
use crate::clock::Now;
use crate::proto::error::ErrorCode;
use crate::storage::PartitionId;
use std::collections::BTreeSet;

impl Transactions {
    /// Adds partitions to the transaction of that producer, and begins it. Also without any partition, as in Kafka.
    ///
    /// # Errors
    /// 49, 90, 51; then none is added.
    pub fn add_partitions(
        &self,
        claim: &Claim<'_>,
        partitions: &[PartitionId],
        version: TxnVersion,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        let txn = self.open(claim)?;
        let named: BTreeSet<PartitionId> = partitions.iter().copied().collect();
        let missing = named.difference(&txn.partitions);
        let touches = missing.map(|&at| TxnTouch::Partition(at));
        Ok(txn.joined_by(touches, version, now))
    }

    /// Adds a group to the transaction of that producer, and begins it.
    ///
    /// # Errors
    /// 49, 90, 51.
    pub fn add_group(
        &self,
        claim: &Claim<'_>,
        group: &str,
        version: TxnVersion,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        let txn = self.open(claim)?;
        let is_missing = !txn.groups.contains(group);
        let touch = is_missing.then(|| TxnTouch::Group(group.into()));
        Ok(txn.joined_by(touch, version, now))
    }

    /// Whether the transaction of that producer has the partition.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when it has not.
    pub fn verify(&self, claim: &Claim<'_>, at: PartitionId) -> Result<(), ErrorCode> {
        match self.open(claim)?.partitions.contains(&at) {
            true => Ok(()),
            false => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    /// Whether the producer may write to the partition now.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when the partition is not in the transaction and does not join it by this.
    pub fn admit(
        &self,
        claim: &Claim<'_>,
        at: PartitionId,
        version: TxnVersion,
        synced_round: u64,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        if self.open(claim)?.settled_round > synced_round {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        match version {
            TxnVersion::V1 => self.verify(claim, at).map(|()| Vec::new()),
            TxnVersion::V2 => self.add_partitions(claim, &[at], version, now),
        }
    }

    /// Whether the producer may commit offsets of the group now.
    ///
    /// # Errors
    /// 49, 90, 51; 120 when the group is not in the transaction and does not join it by this.
    pub fn admit_group(
        &self,
        claim: &Claim<'_>,
        group: &str,
        version: TxnVersion,
        now: Now,
    ) -> Result<Vec<Record>, ErrorCode> {
        if version == TxnVersion::V2 {
            return self.add_group(claim, group, version, now);
        }
        match self.open(claim)?.groups.contains(group) {
            true => Ok(Vec::new()),
            false => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    /// The transactional id of a claim, unless its end is being written.
    ///
    /// # Errors
    /// 49, 90, 51.
    fn open(&self, claim: &Claim<'_>) -> Result<&Txn, ErrorCode> {
        let txn = self.claimed(claim)?;
        txn.standing.check(claim.producer)?;
        match txn.state().is_prepared() {
            true => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            false => Ok(txn),
        }
    }
}

impl Txn {
    /// The records by which these join the transaction, behind the step into it unless it is open.
    pub(super) fn joined_by(
        &self,
        touches: impl IntoIterator<Item = TxnTouch>,
        version: TxnVersion,
        now: Now,
    ) -> Vec<Record> {
        let begins = self.state().is_idle();
        let step = begins.then(|| TxnFact::Stands(self.standing.begun(version, now.wall_ms)));
        let touches = touches.into_iter().map(|touch| self.touch(touch));
        let step = step.map(|step| self.record(step));
        step.into_iter().chain(touches).collect()
    }
}
