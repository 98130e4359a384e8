//! What stands before every request and response body.
//!
//! ```text
//! request   i16 api key, i16 version, i32 correlation id, nullable string client id [, tags]
//! response  i32 correlation id [, tags]
//! ```
//!
//! Tags are there when the body is flexible (request header v2, response header v1), with two quirks: the
//! client id keeps its classic form in either case, and the ApiVersions response never has them, because the
//! client that asks does not know yet what the broker speaks (KIP-511).

use super::ApiKey;
use super::wire::{Malformed, Reader, Result, Wire};

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// What is asked. An API that is not served does not parse.
    pub api_key: ApiKey,
    /// The version of the message; not yet checked against the table.
    pub api_version: i16,
    /// The response bears the same.
    pub correlation_id: i32,
    /// The name that the client gives itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Splits a frame (without its length) into header and body.
    ///
    /// # Errors
    /// When the header is malformed or names an API that is not served; no response can be made then.
    pub fn parse(frame: &'a [u8]) -> Result<(RequestHeader<'a>, &'a [u8])> {
        let mut r = Reader::new(frame, 0, false);
        let api_key =
            ApiKey::from_wire(i16::read(&mut r)?).ok_or(Malformed("an API that is not served"))?;
        let header = RequestHeader {
            api_key,
            api_version: i16::read(&mut r)?,
            correlation_id: i32::read(&mut r)?,
            client_id: Wire::read(&mut r)?,
        };
        if header.is_flexible() {
            r.flexible = true;
            r.tags(|_, _| Ok(()))?;
        }
        Ok((header, r.rest()))
    }

    /// Whether body and header are flexible.
    #[must_use]
    pub fn is_flexible(&self) -> bool {
        self.api_key.info().is_flexible(self.api_version)
    }
}

/// Appends the header of a response.
pub fn put_response_header(api_key: ApiKey, version: i16, correlation_id: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&correlation_id.to_be_bytes());
    if api_key != ApiKey::ApiVersions && api_key.info().is_flexible(version) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: &[u8] = b"\0\x03\0\x01\0\0\0\x07\0\x02ab\xff\xff";
    const FLEXIBLE: &[u8] = b"\0\x03\0\x09\0\0\0\x07\0\x02ab\x01\x05\x01x\0";

    #[test]
    fn a_header_is_split_from_its_body() {
        let (header, body) = RequestHeader::parse(CLASSIC).unwrap();
        assert_eq!((header.api_key, header.api_version), (ApiKey::Metadata, 1));
        assert_eq!((header.correlation_id, header.client_id), (7, Some("ab")));
        assert_eq!(body, b"\xff\xff");
    }

    #[test]
    fn a_flexible_header_has_tags_and_a_classic_client_id() {
        let (header, body) = RequestHeader::parse(FLEXIBLE).unwrap();
        assert_eq!(header.client_id, Some("ab"));
        assert_eq!(body, b"\0");
    }

    #[test]
    fn a_client_need_not_have_a_name() {
        let (header, body) = RequestHeader::parse(b"\0\x03\0\x01\0\0\0\x07\xff\xff").unwrap();
        assert_eq!(header.client_id, None);
        assert!(body.is_empty());
    }

    #[test]
    fn a_header_cut_short_or_of_an_unknown_api_is_refused() {
        for end in 0..12 {
            assert!(RequestHeader::parse(&CLASSIC[..end]).is_err());
        }
        for end in 0..16 {
            assert!(RequestHeader::parse(&FLEXIBLE[..end]).is_err());
        }
        assert!(RequestHeader::parse(b"\x03\xe7\0\0\0\0\0\0\0\0").is_err());
        assert!(RequestHeader::parse(b"\0\x03\0\0\0\0\0\0\xff\xfe").is_err());
    }

    #[test]
    fn a_response_header_has_tags_unless_it_answers_api_versions() {
        let header = |api, version| {
            let mut out = Vec::new();
            put_response_header(api, version, 7, &mut out);
            out
        };
        assert_eq!(header(ApiKey::Metadata, 8), [0, 0, 0, 7]);
        assert_eq!(header(ApiKey::Metadata, 9), [0, 0, 0, 7, 0]);
        assert_eq!(header(ApiKey::ApiVersions, 4), [0, 0, 0, 7]);
    }
}
