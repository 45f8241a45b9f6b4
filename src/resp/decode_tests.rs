//! What the decoder makes of whole, split, broken and oversized replies.

use redis::Value;

use super::super::{Limits, ValueSink, decode_all, hand_on};
use super::*;

fn decode(bytes: &[u8]) -> Result<Vec<Value>, ProtocolError> {
    decode_all(bytes, Limits::default())
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

#[test]
fn every_type_of_both_protocols_is_read() {
    let values = decode(
        b"+OK\r\n+hello\r\n:-12\r\n:9223372036854775807\r\n$3\r\nfoo\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n_\r\n#t\r\n\
          ,1.5\r\n,-inf\r\n(123456789012345678901234567890\r\n=7\r\ntxt:abc\r\n~1\r\n:1\r\n%1\r\n+k\r\n$1\r\nv\r\n",
    )
    .unwrap();
    assert_eq!(
        values,
        vec![
            Value::Okay,
            Value::SimpleString("hello".into()),
            Value::Int(-12),
            Value::Int(i64::MAX),
            bulk("foo"),
            bulk(""),
            Value::Nil,
            Value::Nil,
            Value::Array(vec![]),
            Value::Nil,
            Value::Boolean(true),
            Value::Double(1.5),
            Value::Double(f64::NEG_INFINITY),
            Value::BigNumber(b"123456789012345678901234567890".to_vec()),
            bulk("abc"),
            Value::Set(vec![Value::Int(1)]),
            Value::Map(vec![(Value::SimpleString("k".into()), bulk("v"))]),
        ]
    );
}

#[test]
fn nested_aggregates_and_empty_ones_close_in_order() {
    let values = decode(b"*3\r\n*2\r\n:1\r\n*0\r\n%0\r\n*1\r\n*1\r\n$-1\r\n").unwrap();
    assert_eq!(
        values,
        vec![Value::Array(vec![
            Value::Array(vec![Value::Int(1), Value::Array(vec![])]),
            Value::Map(vec![]),
            Value::Array(vec![Value::Array(vec![Value::Nil])]),
        ])]
    );
}

#[test]
fn a_reply_split_after_any_byte_is_the_same_reply() {
    let bytes = b"*4\r\n$5\r\nhello\r\n|1\r\n+ttl\r\n:3\r\n:42\r\n%1\r\n+a\r\n*1\r\n,0.5\r\n$-1\r\n";
    let whole = decode(bytes).unwrap();
    for split in 0..bytes.len() {
        let (mut input, mut sink) = (ReadBuffer::default(), ValueSink::default());
        let mut decoder = Decoder::new(Limits::default());
        let mut last = Progress::Starved;
        for part in [&bytes[..split], &bytes[split..]] {
            input.space()[..part.len()].copy_from_slice(part);
            input.filled(part.len());
            last = decoder.advance(&mut input, &mut sink).unwrap();
        }
        assert_eq!(last, Progress::Value, "split after {split} bytes");
        assert_eq!(sink.take(), Some(whole[0].clone()), "split after {split} bytes");
        assert!(decoder.is_idle());
    }
}

#[test]
fn a_large_bulk_string_goes_around_the_read_buffer() {
    let payload = vec![b'p'; 300_000];
    let mut bytes = format!("*2\r\n${}\r\n", payload.len()).into_bytes();
    bytes.extend_from_slice(&payload);
    bytes.extend_from_slice(b"\r\n:7\r\n");
    assert_eq!(decode(&bytes).unwrap(), vec![Value::Array(vec![Value::BulkString(payload), Value::Int(7)])]);
}

#[test]
fn long_verbatim_strings_and_long_strings_in_pushes_go_around_the_read_buffer_too() {
    let text = "v".repeat(200_000);
    let mut bytes = format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes();
    bytes.extend_from_slice(format!(">2\r\n+x\r\n${}\r\n{text}\r\n:7\r\n", text.len()).as_bytes());
    assert_eq!(decode(&bytes).unwrap(), vec![bulk(&text), Value::Int(7)]);
}

#[test]
fn a_push_or_attribute_that_is_nil_is_no_reply() {
    for bytes in [&b">-1\r\n"[..], b"|-1\r\n"] {
        assert_eq!(decode(bytes), Err(ProtocolError::BadValue("-1".into())));
    }
}

#[test]
fn pushes_and_attributes_are_no_replies_and_reach_no_sink() {
    let bytes = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n|1\r\n+key\r\n*1\r\n:1\r\n*2\r\n|0\r\n:1\r\n:2\r\n>1\r\n+x\r\n";
    assert_eq!(decode(bytes).unwrap(), vec![Value::Array(vec![Value::Int(1), Value::Int(2)])]);
}

#[test]
fn an_error_reply_is_told_apart_from_an_error_inside_a_list() {
    let (mut input, mut sink) = (ReadBuffer::default(), ValueSink::default());
    let bytes = b"-READONLY You can't write\r\n*1\r\n-ERR inner\r\n";
    input.space()[..bytes.len()].copy_from_slice(bytes);
    input.filled(bytes.len());
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.advance(&mut input, &mut sink), Ok(Progress::Error));
    assert_eq!(decoder.error_text(), b"READONLY You can't write");
    assert_eq!(sink.take(), None);
    assert_eq!(decoder.advance(&mut input, &mut sink), Ok(Progress::Value));
    assert!(matches!(&sink.take(), Some(Value::Array(items)) if matches!(items[0], Value::ServerError(_))));
}

#[test]
fn an_error_inside_a_list_keeps_its_text_through_a_built_value() {
    for text in ["ERR inner  two", "WRONGTYPE Operation against a key", "MOVED 3999 127.0.0.1:6381", "LONELY", "ERR "] {
        let bytes = format!("*1\r\n-{text}\r\n");
        let value = decode(bytes.as_bytes()).unwrap().remove(0);
        let mut copy = ValueSink::default();
        hand_on(&value, &mut copy);
        let copy = copy.take();
        assert_eq!(copy.as_ref(), Some(&value));
        let Some(Value::Array(items)) = copy else { panic!("{copy:?}") };
        let Value::ServerError(error) = &items[0] else { panic!("{items:?}") };
        assert_eq!([error.code(), error.details().unwrap_or_default()].join(" ").trim_end(), text.trim_end());
    }
}

#[test]
fn an_attribute_before_an_error_reply_does_not_hide_the_error() {
    let (mut input, mut sink) = (ReadBuffer::default(), ValueSink::default());
    let bytes = b"|1\r\n+a\r\n+b\r\n-ERR no\r\n";
    input.space()[..bytes.len()].copy_from_slice(bytes);
    input.filled(bytes.len());
    assert_eq!(Decoder::new(Limits::default()).advance(&mut input, &mut sink), Ok(Progress::Error));
}

#[test]
fn bytes_that_are_not_resp_are_named() {
    let cases: [(&[u8], ProtocolError); 9] = [
        (b"HTTP/1.1 200\r\n", ProtocolError::UnknownType(b'H')),
        (b"\r\n", ProtocolError::UnknownType(b'\r')),
        (b":12a\r\n", ProtocolError::BadNumber("12a".into())),
        (b":\r\n", ProtocolError::BadNumber(String::new())),
        (b"$-2\r\n", ProtocolError::BadValue("-2".into())),
        (b"#x\r\n", ProtocolError::BadValue("x".into())),
        (b"$3\r\nabcde\r\n", ProtocolError::BadBulkEnd),
        (b"+no carriage return\n", ProtocolError::BadValue("+no carriage return".into())),
        (b"*1\r\n>1\r\n+x\r\n", ProtocolError::Unexpected("a push inside of another value".into())),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn absurd_sizes_and_depths_are_refused_before_anything_is_allocated() {
    let limits = Limits { max_reply_size: 1000, max_depth: 3 };
    let too_large = Err(ProtocolError::TooLarge { limit: 1000 });
    assert_eq!(decode_all(b"$4611686018427387904\r\n", limits), too_large);
    assert_eq!(decode_all(b"*4611686018427387904\r\n", limits), too_large);
    assert_eq!(decode_all(b"%9223372036854775807\r\n", limits), too_large);
    assert_eq!(
        decode_all(b"*2\r\n$500\r\n", limits).map_err(|e| e.to_string()),
        Err("the last reply is incomplete".into())
    );
    assert_eq!(decode_all(&[&b"*2\r\n$900\r\n"[..], &[b'x'; 900], b"\r\n$100\r\n"].concat(), limits), too_large);
    assert_eq!(decode_all(b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", limits), Err(ProtocolError::TooDeep { limit: 3 }));
    assert!(decode_all(b"*1\r\n*1\r\n*1\r\n:1\r\n", limits).is_ok());
}

#[test]
fn a_small_bulk_string_that_comes_in_pieces_is_charged_once() {
    let limits = Limits { max_reply_size: 60, max_depth: 3 };
    let (mut input, mut sink) = (ReadBuffer::default(), ValueSink::default());
    let mut decoder = Decoder::new(limits);
    for byte in b"$40\r\n0123456789012345678901234567890123456789\r\n" {
        input.space()[0] = *byte;
        input.filled(1);
        decoder.advance(&mut input, &mut sink).unwrap();
    }
    assert!(sink.take().is_some());
}

#[test]
fn an_endless_line_is_refused() {
    let mut bytes = vec![b'x'; ReadBuffer::capacity() * 2];
    bytes[0] = b'+';
    assert!(matches!(decode(&bytes), Err(ProtocolError::LineTooLong(_))));
}

#[test]
fn whether_a_line_is_too_long_does_not_depend_on_the_pieces_in_which_it_comes() {
    let line = |length: usize| [b"+", vec![b'x'; length].as_slice(), b"\r\n"].concat();
    let most = ReadBuffer::capacity() / 2 - 3;
    assert_eq!(decode(&line(most)).map(|values| values.len()), Ok(1));
    let length = ReadBuffer::capacity() / 2;
    assert!(matches!(decode(&line(length)), Err(ProtocolError::LineTooLong(_))), "its end came with it");
}

#[test]
fn the_last_value_is_known_to_be_nil_zero_or_something_else() {
    let cases: [(&[u8], Scalar); 9] = [
        (b"$-1\r\n", Scalar::Nil),
        (b"*-1\r\n", Scalar::Nil),
        (b"_\r\n", Scalar::Nil),
        (b":0\r\n", Scalar::Zero),
        (b":1\r\n", Scalar::Other),
        (b"+OK\r\n", Scalar::Other),
        (b"$1\r\n0\r\n", Scalar::Other),
        (b"*0\r\n", Scalar::Other),
        (b"*1\r\n:0\r\n", Scalar::Other),
    ];
    for (bytes, expected) in cases {
        let (mut input, mut decoder) = (ReadBuffer::default(), Decoder::new(Limits::default()));
        input.space()[..bytes.len()].copy_from_slice(bytes);
        input.filled(bytes.len());
        decoder.advance(&mut input, &mut ValueSink::default()).unwrap();
        assert_eq!(decoder.last_scalar(), expected, "{}", String::from_utf8_lossy(bytes));
    }
}
