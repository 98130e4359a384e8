//! Who has to do with groups and is in none: a consumer that only commits, and an operator.

use super::asks::{self, Commit, Question};
use crate::call::Reply;
use crate::side::Side;
use chronikd::broker::groups::Group;
use chronikd::broker::wait::ConnId;
use chronikd::clock::Mono;
use chronikd::proto::ApiKey;
use chronikd::proto::error::ErrorCode;
use chronikd::proto::schema::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use chronikd::proto::schema::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use chronikd::proto::schema::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberIdentity};
use chronikd::proto::schema::list_groups::{ListGroupsRequest, ListGroupsResponse};
use chronikd::proto::schema::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use chronikd::storage::PartitionId;
use std::collections::{BTreeMap, VecDeque};

/// Groups that it commits to: one without members, one without a name, and one that has members at times.
const GROUPS: [&str; 3] = ["solo", "", "readers"];
/// Questions on their way at most.
const FLYING: usize = 3;
const STATES: [&str; 5] = [
    "Empty",
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
];

#[derive(Clone, Debug)]
enum What {
    Commit(Commit),
    Fetch(Question),
    Describe,
    /// Groups, and a member of each.
    List(Vec<(String, String)>),
    Delete(BTreeMap<PartitionId, usize>),
    Forget(PartitionId, usize),
    Remove,
}

#[derive(Clone, Debug)]
struct Asked {
    what: What,
    group: String,
    sent: Mono,
    mark: usize,
    /// The group had members, in that generation.
    occupied: Option<i32>,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Outsider {
    is_operator: bool,
    line: Option<ConnId>,
    asked: VecDeque<Asked>,
}

impl Outsider {
    /// An operator, or a consumer that is in no group.
    pub fn new(is_operator: bool) -> Outsider {
        Outsider {
            is_operator,
            line: None,
            asked: VecDeque::new(),
        }
    }

    /// Whether nothing is unanswered.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// The connection, or the whole broker, is gone.
    pub fn cut_off(&mut self) {
        (self.line, self.asked) = (None, VecDeque::new());
    }

    /// Does one thing.
    pub fn step(&mut self, side: &mut Side<'_>, finishing: bool) {
        let Some(line) = self.line else {
            self.line = Some(side.machine.connect());
            return;
        };
        for reply in side.machine.take_replies(line) {
            let asked = self.asked.pop_front().expect("a question");
            take(side, &asked, &reply);
        }
        if !side.machine.is_open(line) {
            assert!(
                side.machine.is_idle(line),
                "the broker has closed the connection of {self:?}"
            );
            side.machine.drop_connection(line);
            self.cut_off();
        } else if finishing || self.asked.len() >= FLYING {
        } else if side.luck.once_in(60) {
            side.machine.drop_connection(line);
            self.cut_off();
        } else if self.is_operator {
            self.operate(side, line);
        } else {
            self.consume(side, line);
        }
    }

    fn ask(&mut self, side: &mut Side<'_>, group: &str, what: What) {
        let present = side.machine.broker().groups().get(group);
        let occupied = present.filter(|group| !group.members.is_empty());
        self.asked.push_back(Asked {
            what,
            occupied: occupied.map(|group| group.generation_id),
            group: group.to_owned(),
            sent: side.machine.now.mono,
            mark: side.ledger.groups.mark(group),
        });
    }

    fn consume(&mut self, side: &mut Side<'_>, line: ConnId) {
        let group = side.luck.pick(&GROUPS);
        if side.luck.once_in(2) {
            let version = side.luck.between(0, 10) as i16;
            let all = asks::usable(side, version);
            if all.is_empty() {
                return;
            }
            let some = [side.luck.pick(&all), side.luck.pick(&all)];
            self.commit(side, line, version, group, &some);
        } else {
            self.fetch(side, line, &[group, "readers"]);
        }
    }

    fn fetch(&mut self, side: &mut Side<'_>, line: ConnId, groups: &[&str]) {
        let version = side.luck.between(1, 10) as i16;
        let named: Vec<String> = groups.iter().map(|name| (*name).to_owned()).collect();
        let question = asks::fetch(side, line, version, &named);
        self.ask(side, groups[0], What::Fetch(question));
    }

    /// Asks for everything that a group has.
    pub fn audit(&mut self, side: &mut Side<'_>, group: &str) {
        let line = *self.line.get_or_insert_with(|| side.machine.connect());
        let question = asks::fetch(side, line, 10, &[group.to_owned()]);
        self.ask(side, group, What::Fetch(question));
    }

    /// Commits these partitions to a group without members.
    pub fn commit_all(&mut self, side: &mut Side<'_>, all: &[PartitionId]) {
        let line = *self.line.get_or_insert_with(|| side.machine.connect());
        self.commit(side, line, 10, "solo", all);
    }

    fn commit(
        &mut self,
        side: &mut Side<'_>,
        line: ConnId,
        version: i16,
        group: &str,
        all: &[PartitionId],
    ) {
        self.ask(side, group, What::Commit(Commit::new()));
        let commit = asks::commit(side, line, version, (group, -1, "", None), all);
        self.asked.back_mut().expect("the question").what = What::Commit(commit);
    }

    fn operate(&mut self, side: &mut Side<'_>, line: ConnId) {
        let group = side.luck.pick(&["readers", "copiers", "solo", ""]);
        match side.luck.below(12) {
            0..=3 => self.describe(side, line, group),
            4..=6 => self.list(side, line),
            7 => self.delete(side, line, group),
            8 | 9 => self.forget(side, line, group),
            10 => self.remove(side, line, group),
            _ => {}
        }
    }

    fn describe(&mut self, side: &mut Side<'_>, line: ConnId, group: &str) {
        let version = side.luck.between(0, 6) as i16;
        let request = DescribeGroupsRequest {
            groups: vec![group],
            ..Default::default()
        };
        self.ask(side, group, What::Describe);
        side.machine
            .ask(line, ApiKey::DescribeGroups, version, &request, true);
    }

    fn list(&mut self, side: &mut Side<'_>, line: ConnId) {
        let version = side.luck.between(0, 5) as i16;
        let groups = side.machine.broker().groups().iter();
        let one_of = |group: &Group| {
            let (member_id, _) = group.members.first_key_value()?;
            Some((group.id.to_string(), member_id.to_string()))
        };
        let there = groups.filter_map(one_of).collect();
        self.ask(side, "", What::List(there));
        let request = ListGroupsRequest::default();
        side.machine
            .ask(line, ApiKey::ListGroups, version, &request, true);
    }

    /// Asks for a group's end.
    pub fn condemn(&mut self, side: &mut Side<'_>, group: &str) {
        let line = *self.line.get_or_insert_with(|| side.machine.connect());
        self.delete(side, line, group);
    }

    fn delete(&mut self, side: &mut Side<'_>, line: ConnId, group: &str) {
        let version = side.luck.between(0, 2) as i16;
        let offsets = side.ledger.groups.offsets(group);
        let present = offsets.present().into_iter();
        let marks = present.map(|at| (at, offsets.mark(at))).collect();
        side.ledger.groups.condemning(group);
        self.ask(side, group, What::Delete(marks));
        let request = DeleteGroupsRequest {
            groups_names: vec![group],
        };
        side.machine
            .ask(line, ApiKey::DeleteGroups, version, &request, true);
    }

    fn forget(&mut self, side: &mut Side<'_>, line: ConnId, group: &str) {
        let all = asks::usable(side, 0);
        if all.is_empty() {
            return;
        }
        let at = side.luck.pick(&all);
        let offsets = side.ledger.groups.offsets(group);
        offsets.dooming(at);
        let mark = offsets.mark(at);
        self.ask(side, group, What::Forget(at, mark));
        let name = side.ledger.topic(at.topic).name.clone();
        let request = OffsetDeleteRequest {
            group_id: group,
            topics: vec![OffsetDeleteRequestTopic {
                name: &name,
                partitions: vec![OffsetDeleteRequestPartition {
                    partition_index: at.partition,
                }],
            }],
        };
        side.machine
            .ask(line, ApiKey::OffsetDelete, 0, &request, true);
    }

    /// Removes a static member.
    fn remove(&mut self, side: &mut Side<'_>, line: ConnId, group: &str) {
        let version = side.luck.between(3, 5) as i16;
        let instance = format!("static{}", side.luck.below(4));
        side.ledger.groups.stirring(group);
        side.ledger.groups.disputing(group, &instance);
        self.ask(side, group, What::Remove);
        let request = LeaveGroupRequest {
            group_id: group,
            member_id: "",
            members: vec![MemberIdentity {
                member_id: "",
                group_instance_id: Some(&instance),
                reason: None,
            }],
        };
        side.machine
            .ask(line, ApiKey::LeaveGroup, version, &request, true);
    }
}

fn take(side: &mut Side<'_>, asked: &Asked, reply: &Reply) {
    let group = &*asked.group;
    side.ledger.groups.answered(group, asked.mark);
    match &asked.what {
        What::Commit(commit) => {
            if let Some(code) = asks::committed(side, group, commit, reply) {
                check_simple(side, asked, code);
            }
        }
        What::Fetch(question) => asks::fetched(side, question, reply),
        What::Describe => check_described(&reply.read()),
        What::List(there) => check_listed(side, there, &reply.read()),
        What::Delete(marks) => {
            let response: DeleteGroupsResponse<'_> = reply.read();
            match response.results[0].error_code {
                ErrorCode::NONE => side.ledger.groups.deleted(group, asked.mark, marks),
                ErrorCode::NON_EMPTY_GROUP | ErrorCode::GROUP_ID_NOT_FOUND => {}
                code => panic!("deletion of {group:?} failed with {}", code.0),
            }
        }
        What::Forget(at, mark) => take_forgotten(side, group, (*at, *mark), &reply.read()),
        What::Remove => {
            let response: LeaveGroupResponse<'_> = reply.read();
            let is_nameless = response.error_code == ErrorCode::INVALID_GROUP_ID;
            assert_eq!(is_nameless, group.is_empty());
        }
    }
}

/// Who is no member may commit while there are none.
fn check_simple(side: &mut Side<'_>, asked: &Asked, code: ErrorCode) {
    let is_another = side.ledger.groups.is_reborn(&asked.group, asked.sent);
    let group = side.machine.broker().groups().get(&asked.group);
    let occupied = group.filter(|group| !group.members.is_empty());
    let has_stayed = asked.occupied.is_some()
        && !is_another
        && occupied.is_some_and(|group| Some(group.generation_id) == asked.occupied);
    match code {
        ErrorCode::NONE => assert!(!has_stayed, "a stranger commits to {:?}", asked.group),
        ErrorCode::UNKNOWN_MEMBER_ID => assert_eq!(asked.group, "readers"),
        code => panic!("a commit failed with {}", code.0),
    }
}

fn check_described(response: &DescribeGroupsResponse<'_>) {
    let group = &response.groups[0];
    assert!(STATES.contains(&group.group_state));
    // Whoever it waits for at first may have gone again.
    let needs_nobody = matches!(group.group_state, "Empty" | "Dead" | "PreparingRebalance");
    assert!(needs_nobody || !group.members.is_empty(), "{group:?}");
    if group.group_state != "Stable" {
        let mut members = group.members.iter();
        assert!(members.all(|member| member.member_metadata.is_empty()));
    }
}

fn check_listed(side: &Side<'_>, there: &[(String, String)], response: &ListGroupsResponse<'_>) {
    assert_eq!(response.error_code, ErrorCode::NONE);
    for (name, member_id) in there {
        let now = side.machine.broker().groups().get(name);
        let is_there = now.is_some_and(|group| group.members.contains_key(&**member_id));
        let is_listed = response.groups.iter().any(|group| group.group_id == name);
        assert!(is_listed || !is_there, "{name} is not listed");
    }
}

fn take_forgotten(
    side: &mut Side<'_>,
    group: &str,
    (at, mark): (PartitionId, usize),
    response: &OffsetDeleteResponse<'_>,
) {
    let code = match response.topics.first() {
        Some(topic) => topic.partitions[0].error_code,
        None => response.error_code,
    };
    let offsets = side.ledger.groups.offsets(group);
    offsets.judged(at);
    match code {
        ErrorCode::NONE => offsets.forgotten(at, mark),
        ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::NON_EMPTY_GROUP
        | ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC => {}
        ErrorCode::INVALID_GROUP_ID => assert_eq!(group, ""),
        code => panic!("forgetting an offset of {group:?} failed with {}", code.0),
    }
}
