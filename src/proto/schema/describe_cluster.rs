//! DescribeCluster (60): the cluster's id, brokers and controller (KIP-700). Flexible from version 0 on.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// Who is in the cluster? Endpoint type 1 asks for brokers, 2 for controllers.
    struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        endpoint_type:                         i8   [1..] = 1,
        include_fenced_brokers:                bool [2..],
    }

    /// The cluster. Its id must never be empty: some clients take that for a failure.
    struct DescribeClusterResponse<'a> {
        throttle_time_ms:              i32,
        error_code:                    ErrorCode,
        error_message:                 Option<Text<'a>>,
        endpoint_type:                 i8 [1..] = 1,
        cluster_id:                    &'a str,
        controller_id:                 i32 = -1,
        brokers:                       Vec<DescribeClusterBroker<'a>>,
        cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A broker and where it listens.
    struct DescribeClusterBroker<'a> {
        broker_id: i32,
        host:      &'a str,
        port:      i32,
        rack:      Option<&'a str>,
        is_fenced: bool [2..],
    }
}
