//! The encoder and the decoder by themselves.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use resilient_redis::resp::{Decoder, Frame, Limits, Progress, ReadBuffer, Sink, Space, ValueSink};

fn encode(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..100).map(|number| format!("many:{number}")).collect();
    let mut frame = Frame::default();
    let mut bench = |name: &str, words: &[&[u8]]| {
        criterion.bench_function(&format!("encode {name}"), |bencher| {
            bencher.iter(|| {
                frame.begin();
                for word in words {
                    frame.word(black_box(word));
                }
                frame.end();
                black_box(frame.bytes());
            });
        });
    };
    bench("GET", &[b"GET", b"key"]);
    bench("SET 32 B", &[b"SET", b"key", &[b'v'; 32]]);
    let mget: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain(keys.iter().map(String::as_bytes)).collect();
    bench("MGET 100", &mget);
}

/// Decodes one whole reply, as it comes in pieces of what there is room for.
fn decode_all(decoder: &mut Decoder, buffer: &mut ReadBuffer, reply: &[u8]) -> ValueSink {
    let mut sink = ValueSink::default();
    let mut rest = reply;
    let mut take = |room: &mut [u8]| {
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        count
    };
    loop {
        match decoder.advance(buffer, &mut sink).expect("a reply") {
            Progress::Value => return sink,
            Progress::Bulk => {
                let Space::Used(room) = sink.space() else { unreachable!("this sink clears its room") };
                let count = take(room);
                sink.filled(count);
                decoder.bulk_filled(count);
            }
            _ => {
                let count = take(buffer.space());
                buffer.filled(count);
            }
        }
    }
}

fn decode(criterion: &mut Criterion) {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let hash: String = (0..1000).map(|number| bulk(&format!("f{number}")) + &bulk(&format!("v{number}"))).collect();
    let list: String = (0..10_000).map(|number| bulk(&format!("element {number}"))).collect();
    let replies = [
        ("a status", "+OK\r\n".to_owned()),
        ("a bulk string of 32 bytes", bulk(&"v".repeat(32))),
        ("a bulk string of 64 KB", bulk(&"v".repeat(65_536))),
        ("a hash of 1,000 fields", format!("*2000\r\n{hash}")),
        ("a list of 10,000 elements", format!("*10000\r\n{list}")),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, reply) in replies {
        let mut decoder = Decoder::new(Limits::default());
        let mut buffer = ReadBuffer::default();
        group.throughput(Throughput::Bytes(reply.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(decode_all(&mut decoder, &mut buffer, black_box(reply.as_bytes()))));
        });
    }
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
