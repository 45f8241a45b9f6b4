//! A reply of HTTP/1.1, read as far as it has come.

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status, such as 200.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// More have to come.
    Part,
    /// The whole reply.
    Whole(Reply),
    /// No reply of HTTP, or one of a kind that nobody sends here.
    Broken,
}

/// Reads a reply; `ended` says that the peer has closed.
pub fn read(bytes: &[u8], ended: bool) -> Read {
    let missing = if ended { Read::Broken } else { Read::Part };
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        let begins = bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected);
        return if begins { missing } else { Read::Broken };
    };
    let body = &bytes[end + 4..];
    let Some((status, framing)) = std::str::from_utf8(&bytes[..end]).ok().and_then(head) else { return Read::Broken };
    let body = match framing {
        Framing::Bytes(count) if body.len() >= count => body[..count].to_vec(),
        Framing::UntilClosed if ended => body.to_vec(),
        Framing::Chunks => match chunks(body) {
            Chunks::Whole(body) => body,
            Chunks::Part => return missing,
            Chunks::Broken => return Read::Broken,
        },
        Framing::Bytes(_) | Framing::UntilClosed => return missing,
    };
    String::from_utf8(body).map_or(Read::Broken, |body| Read::Whole(Reply { status, body }))
}

/// How one knows where the body ends.
enum Framing {
    Bytes(usize),
    Chunks,
    UntilClosed,
}

/// The status, and how the body ends.
fn head(text: &str) -> Option<(u16, Framing)> {
    let mut lines = text.split("\r\n");
    let (version, rest) = lines.next()?.split_once(' ')?;
    let status: u16 = rest.split(' ').next()?.parse().ok()?;
    if !version.starts_with("HTTP/1.") || !(200..600).contains(&status) {
        return None;
    }
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let count = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse::<usize>().ok())??;
            if length.replace(count).is_some_and(|before| before != count) {
                return None;
            }
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return None;
            }
            chunked = true;
        }
    }
    let framing = match (length, chunked) {
        (Some(_), true) => return None,
        _ if status == 204 || status == 304 => Framing::Bytes(0),
        (Some(count), false) => Framing::Bytes(count),
        (None, true) => Framing::Chunks,
        (None, false) => Framing::UntilClosed,
    };
    Some((status, framing))
}

enum Chunks {
    Whole(Vec<u8>),
    Part,
    Broken,
}

fn chunks(mut bytes: &[u8]) -> Chunks {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            return if bytes.len() > 64 { Chunks::Broken } else { Chunks::Part };
        };
        let size = std::str::from_utf8(&bytes[..end]).ok().and_then(|line| {
            let digits = line.split(';').next()?.trim();
            let plain = !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| usize::from_str_radix(digits, 16).ok())?
        });
        let Some(size) = size else { return Chunks::Broken };
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Chunks::Whole(body);
        }
        let Some((chunk, rest)) = bytes.split_at_checked(size) else { return Chunks::Part };
        match rest.split_at_checked(2) {
            Some((b"\r\n", rest)) => bytes = rest,
            Some(_) => return Chunks::Broken,
            None => return Chunks::Part,
        }
        body.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(status: u16, body: &str) -> Read {
        Read::Whole(Reply { status, body: body.to_owned() })
    }

    #[test]
    fn a_body_ends_as_its_head_says() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", false), whole(200, "ab"));
        assert_eq!(read(b"HTTP/1.0 404 Not Found\r\n\r\nabc", true), whole(404, "abc"));
        assert_eq!(read(b"HTTP/1.1 204 None\r\n\r\n", false), whole(204, ""));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        assert_eq!(read(chunked, false), whole(200, "abcd"));
    }

    #[test]
    fn a_reply_is_whole_only_when_its_last_byte_is_there() {
        for reply in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        ] {
            for end in 0..reply.len() {
                assert_eq!(read(&reply[..end], false), Read::Part, "after {end} bytes");
                assert_eq!(read(&reply[..end], true), Read::Broken, "closed after {end} bytes");
            }
            assert_eq!(read(reply, false), whole(200, "abc"));
        }
    }

    #[test]
    fn what_is_no_reply_is_broken_at_once() {
        for bytes in [
            &b"SSH-2.0"[..],
            b"-ERR unknown command\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff",
        ] {
            assert_eq!(read(bytes, false), Read::Broken, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
