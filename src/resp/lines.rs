//! The first line of a value: its type, and the number or text behind it.

use memchr::memchr;

use super::{ProtocolError, ReadBuffer};

/// A type with a number of up to 12 digits behind it, and how many bytes they take with their line end. `None` for
/// anything else, and for what has not come whole.
#[inline]
pub(super) fn short_number(unread: &[u8]) -> Option<(u8, u64, usize)> {
    let (&kind, digits) = unread.split_first()?;
    let mut value = 0_u64;
    for (index, &byte) in digits.iter().take(13).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            value = value * 10 + u64::from(digit);
        } else {
            let ends = index > 0 && byte == b'\r' && digits.get(index + 1) == Some(&b'\n');
            return ends.then_some((kind, value, index + 3));
        }
    }
    None
}

/// The next line without its end, and how many bytes it takes with it.
pub(super) fn next_line(input: &ReadBuffer) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    Ok(next_line_with_type(input)?.map(|(line, consumed)| (&line[1..], consumed)))
}

#[inline]
pub(super) fn next_line_with_type(input: &ReadBuffer) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let unread = input.unread();
    let Some(&kind) = unread.first() else { return Ok(None) };
    if !matches!(kind, b'$' | b'*' | b':' | b'+' | b'-' | b'%' | b'~' | b'_' | b',' | b'#' | b'(' | b'=' | b'>' | b'|')
    {
        return Err(ProtocolError::UnknownType(kind));
    }
    match memchr(b'\n', unread) {
        // Where it comes in pieces its end is not seen.
        Some(end) if end >= input.longest_line() => Err(ProtocolError::LineTooLong(end)),
        Some(end) if unread[end - 1] == b'\r' => Ok(Some((&unread[..end - 1], end + 1))),
        Some(end) => Err(ProtocolError::BadValue(lossy(&unread[..end]))),
        None if unread.len() >= input.longest_line() => Err(ProtocolError::LineTooLong(unread.len())),
        None => Ok(None),
    }
}

#[inline]
pub(super) fn parse_integer(text: &[u8]) -> Result<i64, ProtocolError> {
    // Nearly all integers are short and positive.
    if !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        return Ok(text.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')));
    }
    std::str::from_utf8(text)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ProtocolError::BadNumber(lossy(text)))
}

/// A length; `None` for the -1 of RESP2's nil.
#[inline]
pub(super) fn parse_length(text: &[u8]) -> Result<Option<usize>, ProtocolError> {
    match parse_integer(text)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| ProtocolError::BadValue(lossy(text))),
    }
}

pub(super) fn parse_double(text: &[u8]) -> Result<f64, ProtocolError> {
    // Rust's parser knows `inf`, `-inf` and `nan` as RESP3 writes them.
    std::str::from_utf8(text)
        .ok()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| ProtocolError::BadNumber(lossy(text)))
}

/// Bytes of a broken reply for a message: shortened, since they may be anything.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned()
}
