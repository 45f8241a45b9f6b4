//! The client's loop from the command to its reply: routing, the pool, the exchange and the judgement, without PHP and without a
//! socket.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use resilient_redis::client::Desk;
use resilient_redis::command::find;
use resilient_redis::resp::ValueSink;
use resilient_redis_benches::Answering;

fn commands(criterion: &mut Criterion) {
    let value = format!("$32\r\n{}\r\n", "v".repeat(32));
    let cases: [(&str, &[&str], &str); 3] = [
        ("GET", &["GET", "key"], &value),
        ("SET", &["SET", "key", "value"], "+OK\r\n"),
        ("INCR", &["INCR", "n"], ":1\r\n"),
    ];
    for (name, words, reply) in cases {
        let mut client = Answering::with(reply.as_bytes()).client();
        let mut desk = Desk::default();
        let row = find(name.as_bytes());
        criterion.bench_function(&format!("client {name}"), |bencher| {
            bencher.iter(|| {
                desk.frame.begin();
                for word in words {
                    desk.frame.word(word.as_bytes());
                }
                desk.frame.end();
                let mut sink = ValueSink::default();
                client.run(&mut desk, row, &mut sink).expect("a reply");
                black_box(sink.take())
            });
        });
    }
}

criterion_group!(benches, commands);
criterion_main!(benches);
