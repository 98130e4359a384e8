//! Kafka's error codes: the table of `org.apache.kafka.common.protocol.Errors`, release 4.3.
//!
//! A code is a number first. The names are those of Kafka; a number that has none yet is kept and shown as it is.

use super::wire::{Reader, Result, Wire, Writer};
use std::fmt;

/// An error code as it stands on the wire; unknown values survive.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().unwrap_or("ErrorCode"), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Wire<'_> for ErrorCode {
    const MIN_SIZE: usize = i16::MIN_SIZE;
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        i16::read(r).map(ErrorCode)
    }
    fn write(&self, w: &mut Writer<'_>) {
        self.0.write(w);
    }
}

/// Declares the codes: `code NAME "meaning";`.
macro_rules! errors {
    ($($code:literal $name:ident $meaning:literal;)*) => {
        impl ErrorCode {
            $( #[doc = concat!($code, ": ", $meaning, ".")] pub const $name: ErrorCode = ErrorCode($code); )*

            /// Kafka's name of the code, if it has one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $code => Some(stringify!($name)), )*
                    _ => None,
                }
            }
        }
    };
}

errors! {
    -1  UNKNOWN_SERVER_ERROR                  "something went wrong in the broker that has no code of its own";
    0   NONE                                  "no error";
    1   OFFSET_OUT_OF_RANGE                   "the offset lies outside the partition's log";
    2   CORRUPT_MESSAGE                       "a record batch is damaged: checksum, size or key";
    3   UNKNOWN_TOPIC_OR_PARTITION            "no such topic or partition here";
    4   INVALID_FETCH_SIZE                    "the fetch size makes no sense";
    5   LEADER_NOT_AVAILABLE                  "the partition has no leader yet";
    6   NOT_LEADER_OR_FOLLOWER                "this broker does not lead, or hold, the partition";
    7   REQUEST_TIMED_OUT                     "the request was not done within its time";
    8   BROKER_NOT_AVAILABLE                  "the broker cannot be reached";
    9   REPLICA_NOT_AVAILABLE                 "the replica cannot be read";
    10  MESSAGE_TOO_LARGE                     "a record batch is above max.message.bytes";
    11  STALE_CONTROLLER_EPOCH                "the controller has moved on";
    12  OFFSET_METADATA_TOO_LARGE             "the text beside a committed offset is too long";
    13  NETWORK_EXCEPTION                     "the connection broke before an answer came";
    14  COORDINATOR_LOAD_IN_PROGRESS          "the coordinator is still reading its state";
    15  COORDINATOR_NOT_AVAILABLE             "there is no coordinator yet";
    16  NOT_COORDINATOR                       "another broker coordinates this group or transaction";
    17  INVALID_TOPIC_EXCEPTION               "the topic's name is illegal, or the topic may not be used so";
    18  RECORD_LIST_TOO_LARGE                 "the batch is larger than a segment";
    19  NOT_ENOUGH_REPLICAS                   "fewer replicas are in sync than min.insync.replicas";
    20  NOT_ENOUGH_REPLICAS_AFTER_APPEND      "the same, noticed after the records were written";
    21  INVALID_REQUIRED_ACKS                 "acks is none of -1, 0 and 1";
    22  ILLEGAL_GENERATION                    "the group is in another generation";
    23  INCONSISTENT_GROUP_PROTOCOL           "the member shares no protocol with its group";
    24  INVALID_GROUP_ID                      "the group id is illegal";
    25  UNKNOWN_MEMBER_ID                     "the group has no such member";
    26  INVALID_SESSION_TIMEOUT               "the session timeout is outside the broker's range";
    27  REBALANCE_IN_PROGRESS                 "the group is rebalancing: join again";
    28  INVALID_COMMIT_OFFSET_SIZE            "the commit is too large to be kept";
    29  TOPIC_AUTHORIZATION_FAILED            "not allowed on this topic";
    30  GROUP_AUTHORIZATION_FAILED            "not allowed on this group";
    31  CLUSTER_AUTHORIZATION_FAILED          "not allowed on the cluster";
    32  INVALID_TIMESTAMP                     "a record's timestamp is outside the allowed range";
    33  UNSUPPORTED_SASL_MECHANISM            "the broker does not speak this SASL mechanism";
    34  ILLEGAL_SASL_STATE                    "not the moment for this request";
    35  UNSUPPORTED_VERSION                   "this version, or this use of it, is not supported";
    36  TOPIC_ALREADY_EXISTS                  "there is a topic of this name";
    37  INVALID_PARTITIONS                    "the number of partitions is impossible";
    38  INVALID_REPLICATION_FACTOR            "the replication factor is impossible";
    39  INVALID_REPLICA_ASSIGNMENT            "the assignment of replicas is impossible";
    40  INVALID_CONFIG                        "a setting's value is illegal";
    41  NOT_CONTROLLER                        "another broker is the controller";
    42  INVALID_REQUEST                       "the request contradicts itself or the protocol";
    43  UNSUPPORTED_FOR_MESSAGE_FORMAT        "the log's message format cannot do this";
    44  POLICY_VIOLATION                      "a policy of the broker forbids this";
    45  OUT_OF_ORDER_SEQUENCE_NUMBER          "the producer's sequence has a gap";
    46  DUPLICATE_SEQUENCE_NUMBER             "the producer sent this before";
    47  INVALID_PRODUCER_EPOCH                "the producer's epoch is old";
    48  INVALID_TXN_STATE                     "the transaction is not in a state for this";
    49  INVALID_PRODUCER_ID_MAPPING           "the producer id does not belong to the transactional id";
    50  INVALID_TRANSACTION_TIMEOUT           "the transaction timeout is above the broker's limit";
    51  CONCURRENT_TRANSACTIONS               "the transaction is being changed by another request";
    52  TRANSACTION_COORDINATOR_FENCED        "another coordinator has taken over";
    53  TRANSACTIONAL_ID_AUTHORIZATION_FAILED "not allowed on this transactional id";
    54  SECURITY_DISABLED                     "the broker has no authorizer";
    55  OPERATION_NOT_ATTEMPTED               "not tried, because another part of the request failed";
    56  KAFKA_STORAGE_ERROR                   "the disk failed under this log";
    57  LOG_DIR_NOT_FOUND                     "no such log directory";
    58  SASL_AUTHENTICATION_FAILED            "the credentials are wrong";
    59  UNKNOWN_PRODUCER_ID                   "the broker has forgotten this producer";
    60  REASSIGNMENT_IN_PROGRESS              "the partition is being moved";
    61  DELEGATION_TOKEN_AUTH_DISABLED        "delegation tokens are switched off";
    62  DELEGATION_TOKEN_NOT_FOUND            "no such delegation token";
    63  DELEGATION_TOKEN_OWNER_MISMATCH       "the delegation token belongs to somebody else";
    64  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED  "delegation tokens cannot be asked for on this connection";
    65  DELEGATION_TOKEN_AUTHORIZATION_FAILED "not allowed on this delegation token";
    66  DELEGATION_TOKEN_EXPIRED              "the delegation token has expired";
    67  INVALID_PRINCIPAL_TYPE                "this type of principal is not supported";
    68  NON_EMPTY_GROUP                       "the group still has members";
    69  GROUP_ID_NOT_FOUND                    "no such group";
    70  FETCH_SESSION_ID_NOT_FOUND            "no such fetch session";
    71  INVALID_FETCH_SESSION_EPOCH           "the fetch session is at another epoch";
    72  LISTENER_NOT_FOUND                    "the leader has no listener of this name";
    73  TOPIC_DELETION_DISABLED               "topics cannot be deleted here";
    74  FENCED_LEADER_EPOCH                   "the request's leader epoch is older than the broker's";
    75  UNKNOWN_LEADER_EPOCH                  "the request's leader epoch is newer than the broker's";
    76  UNSUPPORTED_COMPRESSION_TYPE          "this client cannot read, or send, this compression";
    77  STALE_BROKER_EPOCH                    "the broker has registered anew";
    78  OFFSET_NOT_AVAILABLE                  "a new leader does not know its high watermark yet";
    79  MEMBER_ID_REQUIRED                    "join again with the member id that this answer brings";
    80  PREFERRED_LEADER_NOT_AVAILABLE        "the preferred leader is away";
    81  GROUP_MAX_SIZE_REACHED                "the group is full";
    82  FENCED_INSTANCE_ID                    "another member has taken this group.instance.id";
    83  ELIGIBLE_LEADERS_NOT_AVAILABLE        "nobody may lead the partition";
    84  ELECTION_NOT_NEEDED                   "the right leader leads already";
    85  NO_REASSIGNMENT_IN_PROGRESS           "the partition is not being moved";
    86  GROUP_SUBSCRIBED_TO_TOPIC             "the group still reads the topic";
    87  INVALID_RECORD                        "a record breaks a rule of its topic or of the format";
    88  UNSTABLE_OFFSET_COMMIT                "a transaction has not yet decided about these offsets";
    89  THROTTLING_QUOTA_EXCEEDED             "too much was asked for: wait";
    90  PRODUCER_FENCED                       "a newer producer uses the transactional id";
    91  RESOURCE_NOT_FOUND                    "no such resource";
    92  DUPLICATE_RESOURCE                    "the resource is named twice";
    93  UNACCEPTABLE_CREDENTIAL               "the credential does not meet the broker's rules";
    94  INCONSISTENT_VOTER_SET                "sender or receiver is not among the voters";
    95  INVALID_UPDATE_VERSION                "this version cannot be set";
    96  FEATURE_UPDATE_FAILED                 "the features could not be updated";
    97  PRINCIPAL_DESERIALIZATION_FAILURE     "a forwarded principal cannot be read";
    98  SNAPSHOT_NOT_FOUND                    "no such snapshot";
    99  POSITION_OUT_OF_RANGE                 "the position lies outside the snapshot";
    100 UNKNOWN_TOPIC_ID                      "no topic has this id";
    101 DUPLICATE_BROKER_REGISTRATION         "another broker has this id";
    102 BROKER_ID_NOT_REGISTERED              "no broker has this id";
    103 INCONSISTENT_TOPIC_ID                 "the log has another topic id";
    104 INCONSISTENT_CLUSTER_ID               "this is another cluster";
    105 TRANSACTIONAL_ID_NOT_FOUND            "no such transactional id";
    106 FETCH_SESSION_TOPIC_ID_ERROR          "the fetch session mixes topic ids and names";
    107 INELIGIBLE_REPLICA                    "a replica may not be in sync";
    108 NEW_LEADER_ELECTED                    "done, and the leader changed by it";
    109 OFFSET_MOVED_TO_TIERED_STORAGE        "the offset lies in tiered storage";
    110 FENCED_MEMBER_EPOCH                   "the member's epoch is not its own any more: join again";
    111 UNRELEASED_INSTANCE_ID                "the former holder of the group.instance.id has not left yet";
    112 UNSUPPORTED_ASSIGNOR                  "the group does not know this assignor";
    113 STALE_MEMBER_EPOCH                    "the member's epoch is old: heartbeat, then retry";
    114 MISMATCHED_ENDPOINT_TYPE              "the endpoint is of another type";
    115 UNSUPPORTED_ENDPOINT_TYPE             "this type of endpoint is not supported";
    116 UNKNOWN_CONTROLLER_ID                 "no such controller";
    117 UNKNOWN_SUBSCRIPTION_ID               "no such telemetry subscription";
    118 TELEMETRY_TOO_LARGE                   "too much telemetry at once";
    119 INVALID_REGISTRATION                  "the controller refuses the registration";
    120 TRANSACTION_ABORTABLE                 "the transaction can only be aborted; the producer may go on";
    121 INVALID_RECORD_STATE                  "the record cannot be acknowledged so";
    122 SHARE_SESSION_NOT_FOUND               "no such share session";
    123 INVALID_SHARE_SESSION_EPOCH           "the share session is at another epoch";
    124 FENCED_STATE_EPOCH                    "the share group's state epoch is another";
    125 INVALID_VOTER_KEY                     "the voter has another key";
    126 DUPLICATE_VOTER                       "already a voter";
    127 VOTER_NOT_FOUND                       "not a voter";
    128 INVALID_REGULAR_EXPRESSION            "the regular expression does not parse";
    129 REBOOTSTRAP_REQUIRED                  "the client's metadata is too old: begin anew";
    130 STREAMS_INVALID_TOPOLOGY              "the topology is illegal";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH        "the topology's epoch is illegal";
    132 STREAMS_TOPOLOGY_FENCED               "the topology's epoch is old";
    133 SHARE_SESSION_LIMIT_REACHED           "there are too many share sessions";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_kafka_4_3_has_a_name_and_no_other() {
        let named: Vec<i16> = (i16::MIN..=i16::MAX)
            .filter(|&code| ErrorCode(code).name().is_some())
            .collect();
        assert_eq!(named, (-1..=133).collect::<Vec<i16>>());
    }

    #[test]
    fn a_code_is_shown_by_name_and_number() {
        assert_eq!(
            ErrorCode::OFFSET_OUT_OF_RANGE.to_string(),
            "OFFSET_OUT_OF_RANGE(1)"
        );
        assert_eq!(ErrorCode(999).to_string(), "ErrorCode(999)");
    }
}
