//! Where a command belongs in a cluster, by how many nodes that has.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use resilient_redis::command::{find, slot_of, slots_of};
use resilient_redis::config::NodeAddress;
use resilient_redis::resp::frame_of;
use resilient_redis::topology::SlotMap;
use resilient_redis_benches::cluster_slots;

const NODES: [usize; 4] = [1, 10, 100, 1_000];

fn slots(criterion: &mut Criterion) {
    criterion.bench_function("slot of a key", |bencher| bencher.iter(|| slot_of(black_box(b"user:1000:profile"))));
    let get = frame_of(&["GET", "user:1000:profile"]);
    let row = find(b"GET");
    criterion.bench_function("slots of GET", |bencher| bencher.iter(|| slots_of(row, black_box(get.bytes()))));
    criterion.bench_function("find a command", |bencher| bencher.iter(|| find(black_box(b"ZRANGEBYSCORE"))));
}

fn maps(criterion: &mut Criterion) {
    let asked = NodeAddress::tcp("10.0.0.1", 6379);
    for nodes in NODES {
        let reply = cluster_slots(nodes);
        let map = SlotMap::read(&reply, &asked, |_| true).expect("a map");
        criterion.bench_with_input(BenchmarkId::new("shard of a key", nodes), &map, |bencher, map| {
            bencher.iter(|| map.shard_of(slot_of(black_box(b"user:1000:profile"))));
        });
        criterion.bench_with_input(BenchmarkId::new("read a map", nodes), &reply, |bencher, reply| {
            bencher.iter(|| SlotMap::read(black_box(reply), &asked, |_| true));
        });
    }
}

criterion_group!(benches, slots, maps);
criterion_main!(benches);
