//! A connection written as text: a URI, `host:port`, a bare host or a socket file.
//!
//! The result is what an array of parameters would have said, so there is one place that checks values. Where the
//! text cannot be taken apart without a doubt it is refused: a password with a raw `/`, `?` or `#` must not end up as
//! a host.

use std::net::Ipv6Addr;

use super::error::ConfigurationError;
use super::setting::Setting;

type Entries = Vec<(String, Setting)>;

/// The parameters that `text` says; `option` names it in errors.
pub(super) fn parse(option: &str, text: &str) -> Result<Entries, ConfigurationError> {
    Uri { option, whole: text }.parse()
}

struct Uri<'a> {
    option: &'a str,
    whole: &'a str,
}

impl Uri<'_> {
    fn parse(&self) -> Result<Entries, ConfigurationError> {
        let text = self.whole.trim();
        if text.starts_with('/') {
            return self.socket_file(text);
        }
        if text.contains('#') {
            return Err(self.refused("", "a URI without '#' (in a password write %23)"));
        }
        if let Some(rest) = text.get(..5).filter(|start| start.eq_ignore_ascii_case("unix:")).map(|_| &text[5..]) {
            return self.unix(rest.strip_prefix("//").unwrap_or(rest));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => ("", text),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));

        // What stands in the URI's own parts wins over the query, as with Predis' redis scheme.
        let mut entries = self.query(query)?;
        put(&mut entries, "scheme", scheme.to_ascii_lowercase());
        self.user(&mut entries, user)?;
        self.place(&mut entries, place)?;
        let database = path.trim_end_matches('/');
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.refused(".database", "a database number after the '/'"));
        }
        // With a scheme or a port somebody meant a host, and it must not become this machine.
        let is_meant = !scheme.is_empty() || !place.is_empty();
        if is_meant && !entries.iter().any(|(name, _)| name == "host") {
            return Err(self.refused(".host", "a host in front of the port, as in tcp://127.0.0.1:6379"));
        }
        put(&mut entries, "database", database);
        Ok(entries)
    }

    /// A path as it stands, for `/run/redis.sock`; no URI, so nothing is decoded in the path.
    fn socket_file(&self, text: &str) -> Result<Entries, ConfigurationError> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut entries = self.query(query)?;
        put(&mut entries, "scheme", "unix");
        put(&mut entries, "path", path);
        Ok(entries)
    }

    fn unix(&self, rest: &str) -> Result<Entries, ConfigurationError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut entries = self.query(query)?;
        let path = match rest.split_once('@') {
            Some((user, path)) if path.starts_with('/') && !user.contains('/') => {
                self.user(&mut entries, user)?;
                path
            }
            Some(_) => return Err(self.refused(".path", "a path of the socket file in which '@' is written %40")),
            None => rest,
        };
        put(&mut entries, "scheme", "unix");
        put(&mut entries, "path", self.decode(path, false)?);
        Ok(entries)
    }

    fn user(&self, entries: &mut Entries, text: &str) -> Result<(), ConfigurationError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        put(entries, "username", self.decode(user, false)?);
        put(entries, "password", self.decode(password, false)?);
        Ok(())
    }

    fn place(&self, entries: &mut Entries, text: &str) -> Result<(), ConfigurationError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| self.refused(".host", "an IPv6 address in brackets"))?;
            // RFC 6874 writes the '%' before a zone as %25.
            let host = self.decode(host, false)?;
            match (host.contains(':'), rest, rest.strip_prefix(':')) {
                (true, "", _) => (host, ""),
                (true, _, Some(port)) => (host, port),
                _ => return Err(self.refused(".host", "an IPv6 address in brackets, then ':' and the port")),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text.to_owned(), "")
        } else {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            (self.decode(host, false)?, port)
        };
        // Checked here and not with the other values: what stands in the port's place may be a piece of a password.
        if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(self.refused(".port", "a whole number from 1 to 65535"));
        }
        put(entries, "host", host);
        put(entries, "port", port);
        Ok(())
    }

    /// The pairs of a query as PHP's parse_str reads them: `a=1&ssl[cafile]=/x`, the last of a name wins.
    fn query(&self, query: &str) -> Result<Entries, ConfigurationError> {
        let mut entries = Entries::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = self.decode(key, true)?;
            let value = self.decode(value, true)?;
            let (name, inner) = match key.split_once('[') {
                Some((name, inner)) => (name, Some(inner.trim_end_matches(']'))),
                None => (key.as_str(), None),
            };
            // A key that is no name may be the rest of a password with a raw '?', so it must not be shown.
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(self.refused("", "a query of the form name=value&name=value"));
            }
            match inner {
                Some(inner) => put_inner(&mut entries, name, inner, value),
                None => put(&mut entries, name, value),
            }
        }
        Ok(entries)
    }

    /// Percent-decoding; what is no escape stays as it is, as in PHP. In a query `+` is a space.
    fn decode(&self, text: &str, query: bool) -> Result<String, ConfigurationError> {
        let mut decoded = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let escaped = if byte == b'%' { after.get(..2).and_then(hex_byte) } else { None };
            rest = if escaped.is_some() { &after[2..] } else { after };
            decoded.push(escaped.unwrap_or(if query && byte == b'+' { b' ' } else { byte }));
        }
        String::from_utf8(decoded).map_err(|_| self.refused("", "escapes that give UTF-8 text"))
    }

    fn refused(&self, part: &str, accepted: &str) -> ConfigurationError {
        let value = Setting::Text(self.whole.to_owned());
        ConfigurationError::about(&format!("{}{part}", self.option), &value, accepted)
    }
}

/// The text that stands in a query as a value.
pub(super) fn decode_query(option: &str, text: &str) -> Result<String, ConfigurationError> {
    Uri { option, whole: text }.decode(text, true)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(digits[0])? * 16 + value(digits[1])?).ok()
}

fn put(entries: &mut Entries, name: &str, value: impl Into<String>) {
    let value = value.into();
    if value.is_empty() {
        return;
    }
    entries.retain(|(known, _)| known != name);
    entries.push((name.to_owned(), Setting::Text(value)));
}

fn put_inner(entries: &mut Entries, name: &str, inner: &str, value: String) {
    let pair = (inner.to_owned(), Setting::Text(value));
    if let Some((_, Setting::Map(pairs))) = entries.iter_mut().find(|(known, _)| known == name) {
        pairs.push(pair);
        return;
    }
    entries.retain(|(known, _)| known != name);
    entries.push((name.to_owned(), Setting::Map(vec![pair])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let show = |(name, value)| match value {
            Setting::Text(text) => (name, text),
            other => (name, other.describe()),
        };
        let mut entries: Vec<_> = parse("parameters", text).unwrap().into_iter().map(show).collect();
        entries.sort();
        entries
    }

    fn says(text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(parsed(text), expected, "{text}");
    }

    #[test]
    fn hosts_and_ports_without_a_scheme() {
        says("10.0.0.1:6379", &[("host", "10.0.0.1"), ("port", "6379")]);
        says("redis.local", &[("host", "redis.local")]);
        says("redis:6380", &[("host", "redis"), ("port", "6380")]);
        says("redis.local:", &[("host", "redis.local")]);
        says("h:1?password=x&database=2", &[("database", "2"), ("host", "h"), ("password", "x"), ("port", "1")]);
        says("redis.local:6379/2", &[("database", "2"), ("host", "redis.local"), ("port", "6379")]);
        says(" h:1\n", &[("host", "h"), ("port", "1")]);
    }

    #[test]
    fn ipv6_with_and_without_brackets() {
        says("[::1]:6379", &[("host", "::1"), ("port", "6379")]);
        says("[::1]", &[("host", "::1")]);
        says("::1", &[("host", "::1")]);
        says("tcp://[fe80::1%25eth0]:1", &[("host", "fe80::1%eth0"), ("port", "1"), ("scheme", "tcp")]);
    }

    #[test]
    fn uris_with_everything() {
        says(
            "redis://us%40er:p%40ss+w@h:1/2?timeout=0.5",
            &[
                ("database", "2"),
                ("host", "h"),
                ("password", "p@ss+w"),
                ("port", "1"),
                ("scheme", "redis"),
                ("timeout", "0.5"),
                ("username", "us@er"),
            ],
        );
        says("TCP://:secret@h/", &[("host", "h"), ("password", "secret"), ("scheme", "tcp")]);
        says("redis://h/3?database=4", &[("database", "3"), ("host", "h"), ("scheme", "redis")]);
        says("tcp://h?alias=a+b%2B&alias=c", &[("alias", "c"), ("host", "h"), ("scheme", "tcp")]);
        says("tcp://h?password=50%", &[("host", "h"), ("password", "50%"), ("scheme", "tcp")]);
    }

    #[test]
    fn socket_files() {
        for text in ["/run/redis.sock", "unix:/run/redis.sock", "unix:///run/redis.sock", "UNIX:///run/redis.sock"] {
            says(text, &[("path", "/run/redis.sock"), ("scheme", "unix")]);
        }
        says("unix://redis.sock", &[("path", "redis.sock"), ("scheme", "unix")]);
        says("unix:/a%20b?database=1", &[("database", "1"), ("path", "/a b"), ("scheme", "unix")]);
        says("/a%20b#c@d?database=1", &[("database", "1"), ("path", "/a%20b#c@d"), ("scheme", "unix")]);
        says("unix://u:p@/run/r", &[("password", "p"), ("path", "/run/r"), ("scheme", "unix"), ("username", "u")]);
    }

    #[test]
    fn arrays_in_a_query_become_arrays() {
        let entries = parse("parameters", "tcp://h?ssl[cafile]=/x&ssl%5Bverify_peer%5D=1").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), Setting::Text(value.to_owned()));
        let ssl = Setting::Map(vec![pair("cafile", "/x"), pair("verify_peer", "1")]);
        assert!(entries.contains(&("ssl".to_owned(), ssl)));
    }

    #[test]
    fn doubtful_texts_are_refused_without_showing_what_may_be_a_password() {
        for (text, option) in [
            ("redis://:hunter2/x@h", "parameters.port"),
            ("redis://:12/hunter2@h", "parameters.database"),
            ("redis://:hunter2?x@h", "parameters"),
            ("redis://:12?hunter2@h", "parameters"),
            ("redis://:1#hunter2@h", "parameters"),
            ("unix://:hunter2/x@/run/r", "parameters.path"),
            ("redis://u:%ffhunter2@h", "parameters"),
            ("redis://u:hunter2@[::1", "parameters.host"),
        ] {
            let error = parse("parameters", text).unwrap_err();
            assert_eq!(error.option(), option, "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_uri_whose_host_is_empty_is_refused_and_is_not_this_machine() {
        for text in ["tcp://", "tcp://:6379", "redis:///2", "redis://:hunter2@", "tcp://?database=1", ":6379"] {
            let error = parse("parameters", text).unwrap_err();
            assert_eq!(error.option(), "parameters.host", "{text}");
            assert!(error.accepted().contains("tcp://127.0.0.1:6379"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(parse("parameters", "tcp://:6379").unwrap_err().given(), "string 'tcp://:6379'");
        says("", &[]);
        says("?database=1", &[("database", "1")]);
        says("tcp://?host=a", &[("host", "a"), ("scheme", "tcp")]);
    }

    #[test]
    fn ports_out_of_range_name_the_port() {
        for text in ["h:65536", "h:0", "tcp://h:x", "a:b:c", "[::1]:x"] {
            assert_eq!(parse("parameters[1]", text).unwrap_err().option(), "parameters[1].port", "{text}");
        }
        assert_eq!(parse("parameters", "[::1]6379").unwrap_err().option(), "parameters.host");
    }
}
