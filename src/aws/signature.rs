//! Signature Version 4 in the query of a URL ("presigned"), for a GET of `/` without a body.

use std::fmt::Write;

use ring::{digest, hmac};

use crate::time::Wall;

use super::Keys;

/// What is signed.
pub struct Scope<'a> {
    /// The service's name.
    pub service: &'a str,
    /// The region's name.
    pub region: &'a str,
    /// The time of the signature.
    pub at: Wall,
    /// For how many seconds it is valid.
    pub seconds: u64,
}

/// `{host}/?{query}` with what signs it. `host` is in lower case.
pub fn presigned(host: &str, query: &[(&str, &str)], scope: &Scope<'_>, keys: &Keys) -> String {
    let time = scope.at.to_string();
    let day = &time[..8];
    let within = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let credential = format!("{}/{within}", keys.id);
    let seconds = scope.seconds.to_string();
    let mut parts = query.to_vec();
    parts.extend([
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &*credential),
        ("X-Amz-Date", &*time),
        ("X-Amz-Expires", &*seconds),
        ("X-Amz-SignedHeaders", "host"),
    ]);
    if let Some(session) = &keys.session {
        parts.push(("X-Amz-Security-Token", session.expose()));
    }
    let mut parts: Vec<String> = parts.into_iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let url = format!("{host}/?{}", parts.join("&"));
    parts.sort_unstable();
    let request = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{}", parts.join("&"), hex(sha256(b"").as_ref()));
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", hex(sha256(request.as_bytes()).as_ref()));
    let root = format!("AWS4{}", keys.secret.expose());
    let key = [day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(hmac::Key::new(hmac::HMAC_SHA256, root.as_bytes()), |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        });
    format!("{url}&X-Amz-Signature={}", hex(hmac::sign(&key, signed.as_bytes()).as_ref()))
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// All but the characters that never need it, escaped byte by byte.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}
