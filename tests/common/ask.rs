//! Requests and answers of one connection, in any version, as the structs of `proto::schema`.

use super::raw::Raw;
use chronikd::proto::{self, ApiKey, Wire};

/// A request frame: classic header fields, correlation id 7, client id "t".
pub fn frame<'a, T: Wire<'a>>(api: ApiKey, version: i16, body: &T) -> Vec<u8> {
    let mut frame = header(api as i16, version);
    let flexible = api.info().is_flexible(version);
    if flexible {
        frame.push(0);
    }
    proto::encode(body, version, flexible, &mut frame).expect("it fits");
    frame
}

/// What every request header begins with.
pub fn header(api_key: i16, version: i16) -> Vec<u8> {
    [
        &api_key.to_be_bytes()[..],
        &version.to_be_bytes(),
        &[0, 0, 0, 7, 0, 1, b't'],
    ]
    .concat()
}

/// Sends a frame and hands the response's body on.
pub fn ask(raw: &mut Raw, api: ApiKey, version: i16, request: &[u8]) -> Vec<u8> {
    raw.send(request).expect("sent");
    body(raw, api, version)
}

/// Waits for a response and hands its body on.
pub fn body(raw: &mut Raw, api: ApiKey, version: i16) -> Vec<u8> {
    let response = raw.read().expect("an answer");
    assert_eq!(
        response[..4],
        [0, 0, 0, 7],
        "the correlation id of the request"
    );
    let tags = api != ApiKey::ApiVersions && api.info().is_flexible(version);
    response[4 + usize::from(tags)..].to_vec()
}

/// Reads the body of a response.
pub fn decode<'a, T: Wire<'a>>(body: &'a [u8], api: ApiKey, version: i16) -> T {
    proto::decode(body, version, api.info().is_flexible(version)).expect("a response")
}
