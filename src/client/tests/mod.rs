//! The client's loop against scripted servers: every row of P1 and P2, and the searches of P9. Nothing here sleeps.

mod deadlines;
mod events;
mod outcomes;
mod pooling;
mod searches;
mod state;

use std::sync::Arc;

use redis::Value;

use crate::config::{Defaults, Setting, configure};
use crate::connection::scripted::{ScriptedNetwork, Server, node};
use crate::pool::Registry;
use crate::resp::ValueSink;
use crate::telemetry::Event;

use super::{Client, Desk, Failure, World};

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

    /// A client that was given the servers numbered so, with options.
    pub fn with(servers: Vec<Server>, endpoints: &[usize], options: &[(&str, Setting)]) -> Bench {
        let uris = endpoints.iter().map(|index| Setting::Text(format!("tcp://{}", node(*index)))).collect::<Vec<_>>();
        let parameters = if let [only] = &uris[..] { only.clone() } else { Setting::List(uris) };
        Bench::at(servers, &parameters, options)
    }

    /// A client with these parameters and options.
    pub fn at(servers: Vec<Server>, parameters: &Setting, options: &[(&str, Setting)]) -> Bench {
        let network = ScriptedNetwork::of(servers);
        let world = Arc::new(World {
            network: Box::new(network.clone()),
            clock: Box::new(network.clock.clone()),
            registry: Registry::default(),
        });
        let client = client_in(&world, parameters, options);
        Bench { network, client, desk: Desk::default(), world }
    }

    /// Another client object of the same process.
    pub fn sibling(&self, endpoint: usize) -> Client {
        client_in(&self.world, &Setting::Text(format!("tcp://{}", node(endpoint))), &[])
    }

    /// Runs a command, its words separated by spaces.
    pub fn run(&mut self, line: &str) -> Result<Value, Failure> {
        run_on(&mut self.client, &mut self.desk, line)
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
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let configuration = configure(parameters, &Setting::Map(options), &Defaults::default()).unwrap();
    Client::new(world.clone(), configuration)
}

/// Runs a command on any client.
pub fn run_on(client: &mut Client, desk: &mut Desk, line: &str) -> Result<Value, Failure> {
    let words: Vec<&str> = line.split(' ').collect();
    desk.frame.begin();
    for word in &words {
        desk.frame.word(word.as_bytes());
    }
    desk.frame.end();
    let mut sink = ValueSink::default();
    let command = crate::command::find(words[0].as_bytes());
    client.run(desk, command, &mut sink).map_err(|failure| *failure)?;
    Ok(sink.take().expect("a command that went well has a value"))
}

/// A primary (1) with two replicas (2, 3).
pub fn replicated() -> Vec<Server> {
    vec![Server::primary(&[node(2), node(3)]), Server::replica(&node(1)), Server::replica(&node(1))]
}
