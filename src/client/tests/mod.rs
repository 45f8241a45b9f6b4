//! The client's loop against scripted servers: every row of P1 and P2, and the searches of P9. Nothing here sleeps.

mod addresses;
mod batch_blocks;
mod batch_reads;
mod batch_storms;
mod batches;
mod breakers;
mod budget;
mod cluster;
mod cluster_batches;
mod deadlines;
mod detours;
mod events;
mod fanning;
mod freezes;
mod hard_searches;
mod hostile_peers;
mod min_replicas;
mod names;
mod outcomes;
mod passes;
mod pooling;
mod pushes;
mod reads;
mod redirects;
mod rings;
mod scripts;
mod searches;
mod secured;
mod sentinels;
mod shared_maps;
mod sharing;
mod split_brain;
mod state;
mod states;
mod subscriptions;
mod waits;
mod walks;

use std::sync::Arc;

use redis::Value;

use crate::board::Board;
use crate::config::{Defaults, Setting, WhenOpen, configure};
use crate::connection::scripted::{ScriptedNetwork, Server, node};
use crate::pool::Registry;
use crate::resp::{Sink, ValueSink};
use crate::telemetry::Event;

use super::{Client, Desk, Failure, Replies, World};

thread_local! {
    /// Whether the request of this thread's test is coming to its end.
    pub static ENDING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    /// Whether the request of this thread's test is over but for what runs at its end.
    pub static OVER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    /// Whether PHP wants to run something else in this thread's test.
    pub static INTERRUPTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// A client with a desk of its own, before a scripted network.
pub struct Bench {
    pub network: ScriptedNetwork,
    pub client: Client,
    pub desk: Desk,
    world: Arc<World>,
}

impl Bench {
    /// A client that was given the first server alone.
    pub fn of(servers: Vec<Server>) -> Bench {
        Bench::with(servers, &[1], &[])
    }

    /// A client in a function of AWS Lambda that was given the first server alone.
    pub fn in_lambda(servers: Vec<Server>, options: &[(&str, Setting)]) -> Bench {
        let mut bench = Bench::with(servers, &[1], options);
        let parameters = Setting::Text(format!("tcp://{}", node(1)));
        bench.client = client_by(&Defaults::of("cli", true), &bench.world, &parameters, options);
        bench
    }

    /// A client that was given the servers numbered so, with options.
    pub fn with(servers: Vec<Server>, endpoints: &[usize], options: &[(&str, Setting)]) -> Bench {
        let uris = endpoints.iter().map(|index| Setting::Text(format!("tcp://{}", node(*index)))).collect::<Vec<_>>();
        let parameters = if let [only] = &uris[..] { only.clone() } else { Setting::List(uris) };
        Bench::at(servers, &parameters, options)
    }

    /// A client with these parameters and options.
    pub fn at(servers: Vec<Server>, parameters: &Setting, options: &[(&str, Setting)]) -> Bench {
        Bench::on(&ScriptedNetwork::of(servers), &Arc::new(Board::alone()), parameters, options)
    }

    /// A process of its own before a network and a board that others may use, too.
    pub fn on(
        network: &ScriptedNetwork,
        board: &Arc<Board>,
        parameters: &Setting,
        options: &[(&str, Setting)],
    ) -> Bench {
        let world = Arc::new(World {
            network: Box::new(network.clone()),
            clock: Box::new(network.clock.clone()),
            registry: Registry::new(board.clone()),
            is_ending: || ENDING.get(),
            is_over: || OVER.get(),
            is_interrupted: || INTERRUPTED.get(),
        });
        let client = client_in(&world, parameters, options);
        Bench { network: network.clone(), client, desk: Desk::default(), world }
    }

    /// Another client object of the same process.
    pub fn sibling(&self, endpoint: usize) -> Client {
        client_in(&self.world, &Setting::Text(format!("tcp://{}", node(endpoint))), &[])
    }

    /// Runs a command, its words separated by spaces.
    pub fn run(&mut self, line: &str) -> Result<Value, Box<Failure>> {
        run_on(&mut self.client, &mut self.desk, line)
    }

    /// Runs a batch of commands, one per line or separated by semicolons. Gives the replies that are known, and how it
    /// failed if it did.
    pub fn run_batch(&mut self, lines: &str) -> (Vec<String>, Option<Failure>) {
        let batch = batch_of(lines);
        let mut answers = Answers::default();
        let result = self.client.run_batch(&mut self.desk, &batch, &mut answers);
        answers.settle();
        (answers.seen(), result.err().map(|failure| *failure))
    }

    /// The names of the events since the last time.
    pub fn events(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.client.next_event()).map(|event: Event| event.name()).collect()
    }

    /// Seconds on the clock.
    pub fn elapsed(&self) -> f64 {
        use crate::time::{Clock, Instant};
        self.network.clock.now().since(Instant::default()).as_secs_f64()
    }
}

fn client_in(world: &Arc<World>, parameters: &Setting, options: &[(&str, Setting)]) -> Client {
    // As on the command line, but with the breaker of php-fpm.
    let defaults = Defaults { when_open: WhenOpen::Fail, ..Defaults::default() };
    client_by(&defaults, world, parameters, options)
}

fn client_by(defaults: &Defaults, world: &Arc<World>, parameters: &Setting, options: &[(&str, Setting)]) -> Client {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let configuration = configure(parameters, &Setting::Map(options), defaults).unwrap();
    Client::new(world.clone(), configuration)
}

/// The commands as a batch.
pub fn batch_of(lines: &str) -> super::Batch {
    let mut batch = super::Batch::default();
    for line in lines.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let command = crate::command::find(words[0].as_bytes());
        let frame = crate::resp::frame_of(&words);
        batch.push(&frame, command, crate::command::Shape::Plain).expect("a command that may be in a batch");
    }
    batch
}

/// Runs a command on any client.
pub fn run_on(client: &mut Client, desk: &mut Desk, line: &str) -> Result<Value, Box<Failure>> {
    let words: Vec<&str> = line.split(' ').collect();
    desk.frame.begin();
    for word in &words {
        desk.frame.word(word.as_bytes());
    }
    desk.frame.end();
    let mut sink = ValueSink::default();
    let command = crate::command::find(words[0].as_bytes());
    client.run(desk, command, &mut sink)?;
    Ok(sink.take().expect("a command that went well has a value"))
}

/// The replies to a batch; `None` where none is known.
#[derive(Debug, Default)]
pub struct Answers {
    sink: ValueSink,
    next: usize,
    all: Vec<Option<Result<Value, String>>>,
    rewinds: usize,
}

impl Answers {
    fn put(&mut self, index: usize, answer: Option<Result<Value, String>>) {
        if self.all.len() <= index {
            self.all.resize(index + 1, None);
        }
        self.all[index] = answer;
    }

    /// What there is, in short form.
    pub fn seen(&self) -> Vec<String> {
        let short = |answer: &Option<Result<Value, String>>| match answer {
            None => "?".to_owned(),
            Some(Err(text)) => text.split(' ').next().unwrap_or_default().to_owned(),
            Some(Ok(Value::Okay)) => "OK".to_owned(),
            Some(Ok(Value::SimpleString(text))) => text.clone(),
            Some(Ok(Value::Int(number))) => number.to_string(),
            Some(Ok(Value::BulkString(bytes))) => format!("'{}'", String::from_utf8_lossy(bytes)),
            Some(Ok(Value::Nil)) => "nil".to_owned(),
            Some(Ok(other)) => format!("{other:?}"),
        };
        self.all.iter().map(short).collect()
    }

    fn settle(&mut self) {
        if let Some(value) = self.sink.take() {
            self.put(self.next, Some(Ok(value)));
        }
    }
}

impl Sink for Answers {
    fn reset(&mut self) {
        self.sink.reset();
    }
    fn nil(&mut self) {
        self.sink.nil();
    }
    fn integer(&mut self, value: i64) {
        self.sink.integer(value);
    }
    fn double(&mut self, value: f64) {
        self.sink.double(value);
    }
    fn boolean(&mut self, value: bool) {
        self.sink.boolean(value);
    }
    fn status(&mut self, text: &[u8]) {
        self.sink.status(text);
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.sink.bulk(bytes);
    }
    fn big_number(&mut self, digits: &[u8]) {
        self.sink.big_number(digits);
    }
    fn error(&mut self, text: &[u8]) {
        self.sink.error(text);
    }
    fn begin(&mut self, kind: crate::resp::Aggregate, length: usize) {
        self.sink.begin(kind, length);
    }
    fn end(&mut self) {
        self.sink.end();
    }
    fn begin_bulk(&mut self, length: usize) {
        self.sink.begin_bulk(length);
    }
    fn append(&mut self, bytes: &[u8]) {
        self.sink.append(bytes);
    }
    fn space(&mut self) -> crate::resp::Space<'_> {
        self.sink.space()
    }
    fn filled(&mut self, count: usize) {
        self.sink.filled(count);
    }
    fn end_bulk(&mut self) {
        self.sink.end_bulk();
    }
}

impl Replies for Answers {
    fn expect(&mut self, index: usize) {
        self.settle();
        self.sink.reset();
        self.next = index;
    }
    fn refuse(&mut self, index: usize, text: &[u8]) {
        self.settle();
        self.put(index, Some(Err(String::from_utf8_lossy(text).into_owned())));
    }
    fn rewind(&mut self, index: usize) {
        self.settle();
        self.rewinds += 1;
        self.all.truncate(index);
    }
    fn forget(&mut self, index: usize) {
        self.settle();
        self.put(index, None);
    }
}

/// A primary (1) with two replicas (2, 3).
pub fn replicated() -> Vec<Server> {
    vec![Server::primary(&[node(2), node(3)]), Server::replica(&node(1)), Server::replica(&node(1))]
}
