//! ApiVersions, and what a broker does with what it does not serve.

use chronikd::proto::ApiKey;
use chronikd::proto::schema::api_versions::ApiVersionsRequest;

use crate::run::Run;

pub(crate) fn what_is_spoken(run: &mut Run<'_>) {
    let conn = run.connect("client");
    for (name, version) in [("software", "1.0"), ("a b", "1"), ("", "1"), ("a", "-")] {
        run.ask(
            conn,
            ApiVersionsRequest {
                client_software_name: name,
                client_software_version: version,
            },
        );
    }
}

pub(crate) fn what_is_not(run: &mut Run<'_>) {
    let range = run.range(ApiKey::Metadata);
    for (api, version) in [
        (ApiKey::Metadata, range.1 + 1),
        (ApiKey::Metadata, -1),
        (ApiKey::Fetch, 99),
    ] {
        let conn = run.connect("client");
        run.send_raw(api, version, conn, |_| Vec::new());
        run.closes(conn);
    }
    for body in [
        &[0x7f, 0xff, 0xff, 0xff][..],
        &[0, 0, 0, 1, 0xff],
        &[0, 0],
        &[],
    ] {
        let conn = run.connect("client");
        run.send_raw(ApiKey::DeleteTopics, 3, conn, |_| body.to_vec());
        run.closes(conn);
    }
}
