//! Texts of the server that are tables: `INFO` and `CLIENT LIST`. They are read as they stand, without copies.

/// A line of `INFO`.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The name of the section that follows.
    Heading(&'a [u8]),
    /// A name and its value.
    Row(&'a [u8], &'a [u8]),
    /// A name, and a text of [`fields`]: what a database or a module says about itself.
    Table(&'a [u8], &'a [u8]),
}

/// The lines of `INFO` that say something.
pub fn sections(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    lines(text).filter_map(|line| {
        if let Some(heading) = line.strip_prefix(b"# ") {
            return Some(Line::Heading(heading));
        }
        // Modules have one name for all of them: `module:name=search,ver=1`.
        if let Some(module) = line.strip_prefix(b"module:name=") {
            let (name, rest) = split(module, b',').unwrap_or((module, b""));
            return Some(Line::Table(name, rest));
        }
        let (name, value) = split(line, b':')?;
        let number = name.strip_prefix(b"db").unwrap_or_default();
        let is_database = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
        Some(if is_database { Line::Table(name, value) } else { Line::Row(name, value) })
    })
}

/// Names with their values, `name=value`, with the mark between them.
pub fn fields(text: &[u8], mark: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(move |byte| *byte == mark).filter_map(|field| split(field, b'='))
}

/// Lines that are not empty, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty())
}

fn split(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == mark)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_section_by_section() {
        let text = b"# Server\r\nos:Linux: x\r\n\r\n# Keyspace\r\ndb0:keys=8,expires=1\r\ndbs:1\r\n\r\n# Modules\r\n\
                     module:name=search,ver=2,api=1\r\nmodule:name=bare\r\nno colon\r\n";
        let expected = [
            Line::Heading(b"Server"),
            Line::Row(b"os", b"Linux: x"),
            Line::Heading(b"Keyspace"),
            Line::Table(b"db0", b"keys=8,expires=1"),
            Line::Row(b"dbs", b"1"),
            Line::Heading(b"Modules"),
            Line::Table(b"search", b"ver=2,api=1"),
            Line::Table(b"bare", b""),
        ];
        assert_eq!(sections(text).collect::<Vec<_>>(), expected);
        assert_eq!(sections(b"").count(), 0);
    }

    #[test]
    fn clients_are_lines_of_fields_of_which_some_are_empty() {
        let text = b"id=3 addr=[::1]:5 name= cmd=client|list\nid=4 name=a=b\n";
        let clients: Vec<Vec<_>> = lines(text).map(|line| fields(line, b' ').collect()).collect();
        let first: [(&[u8], &[u8]); 4] =
            [(b"id", b"3"), (b"addr", b"[::1]:5"), (b"name", b""), (b"cmd", b"client|list")];
        assert_eq!(clients[0], first);
        assert_eq!(clients[1][1], (&b"name"[..], &b"a=b"[..]));
        assert_eq!(clients.len(), 2);
    }
}
