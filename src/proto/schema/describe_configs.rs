//! DescribeConfigs (32): the settings of topics, brokers, loggers, groups and client metrics. Version 0 is Kafka 3's.

use crate::proto::Text;
use crate::proto::error::ErrorCode;
use crate::proto::wire::wire;

wire! {
    /// What is set for these resources.
    struct DescribeConfigsRequest<'a> {
        resources:             Vec<DescribeConfigsResource<'a>>,
        include_synonyms:      bool [1..],
        include_documentation: bool [3..],
    }

    /// One resource, and the keys that are asked for; null, or none, is all of them.
    struct DescribeConfigsResource<'a> {
        resource_type:      i8,
        resource_name:      &'a str,
        configuration_keys: Option<Vec<&'a str>>,
    }

    /// The settings of each resource.
    struct DescribeConfigsResponse<'a> {
        throttle_time_ms: i32,
        results:          Vec<DescribeConfigsResult<'a>>,
    }

    /// The settings of one resource, or why there are none.
    struct DescribeConfigsResult<'a> {
        error_code:    ErrorCode,
        error_message: Option<Text<'a>>,
        resource_type: i8,
        resource_name: &'a str,
        configs:       Vec<DescribeConfigsResourceResult<'a>>,
    }

    /// One setting as it is in force, and where it comes from. The value of a sensitive one is null.
    struct DescribeConfigsResourceResult<'a> {
        name:          Text<'a>,
        value:         Option<Text<'a>>,
        read_only:     bool,
        is_default:    bool                            [..=0],
        config_source: i8                              [1..] = -1,
        is_sensitive:  bool,
        synonyms:      Vec<DescribeConfigsSynonym<'a>> [1..],
        config_type:   i8                              [3..],
        documentation: Option<Text<'a>>                [3..],
    }

    /// A value that is set somewhere; the first of them is the one in force.
    struct DescribeConfigsSynonym<'a> {
        name:   Text<'a>,
        value:  Option<Text<'a>>,
        source: i8,
    }
}
