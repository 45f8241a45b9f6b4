//! The methods that are no commands.

use std::time::Duration;

use ext_php_rs::ffi::{zend_execute_data, zend_is_callable, zend_object, zval};

use crate::client::Client;
use crate::config::{ConfigurationError, NodeAddress, Setting, configure};
use crate::telemetry::COUNTERS;
use crate::topology::{Mode, Shard, SlotMap};

use super::asked::Asked;
use super::class::{self, Method, optional, required, variadic};
use super::commands::{self, guarded, unconstructed};
use super::credentials::{self, Askers};
use super::elements::{Elements, Key};
use super::process::{hands, world};
use super::signature::{ARRAY, BOOL, CALLABLE, INT, NULL, OBJECT, STATIC, STRING, VOID};
use super::values::{self, ArrayBuilder, count, list};
use super::zend::{self, Value};
use super::{
    command_object, custom, events, exceptions, ini, nodes, prefix, pubsub, push, queue_options, settings, told, units,
};

/// The methods.
pub fn table() -> Vec<Method> {
    vec![
        Method::new("__construct", construct, const { &[optional(c"parameters"), optional(c"options")] }),
        Method::new(
            "__call",
            commands::call,
            const { &[required(c"name").of(STRING), required(c"arguments").of(ARRAY)] },
        ),
        Method::new(
            "executeRaw",
            commands::execute_raw,
            const { &[required(c"words").of(ARRAY), optional(c"error").by_reference()] },
        ),
        Method::new("executeCommand", command_object::execute_command, const { &[required(c"command").of(OBJECT)] }),
        Method::new(
            "createCommand",
            custom::create_command,
            const { &[required(c"name").of(STRING), optional(c"arguments").of(ARRAY).or(c"[]")] },
        )
        .returning(OBJECT),
        Method::new("getCommandFactory", custom::get_factory, &[]).returning(OBJECT),
        Method::new("pipeline", queue_options::open_pipeline, const { &[variadic(c"arguments")] }),
        Method::new("transaction", queue_options::open_transaction, const { &[variadic(c"arguments")] }),
        Method::new("pubSubLoop", pubsub::open, const { &[variadic(c"arguments")] }),
        Method::new("push", push::open, const { &[optional(c"preLoop")] }).returning(OBJECT),
        Method::new("withOptions", with_options, const { &[required(c"options").of(ARRAY)] }).returning(STATIC),
        Method::new(
            "getClientBy",
            nodes::get_client_by,
            const { &[required(c"selector").of(STRING), required(c"value").of(STRING | INT)] },
        )
        .returning(STATIC),
        Method::new("getIterator", nodes::get_iterator, &[]).returning(OBJECT),
        Method::new("connect", connect, &[]).returning(VOID),
        Method::new("disconnect", disconnect, &[]).returning(VOID),
        Method::new("isConnected", is_connected, &[]).returning(BOOL),
        Method::new("onEvent", on_event, const { &[required(c"listener").of(CALLABLE | NULL)] }).returning(VOID),
        Method::new("getOptions", told::get_options, &[]).returning(OBJECT),
        Method::new("getConnection", told::get_connection, &[]).returning(STATIC),
        Method::new("stats", stats, &[]).returning(ARRAY),
        Method::new("topology", topology, &[]).returning(ARRAY),
        Method::new("resetPools", reset_pools, &[]).on_class().returning(VOID),
        Method::new("beginUnit", units::begin, &[]).on_class().returning(VOID),
        Method::new("endUnit", units::end, &[]).on_class().returning(VOID),
    ]
}

extern "C" fn construct(call: *mut zend_execute_data, _: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a constructor with its frame, which keeps the arguments and the object alive.
        unsafe {
            if is_constructed(call) {
                return;
            }
            let arguments = zend::arguments(call);
            let ask = |option: &[u8], ask: unsafe fn(&Value, &Value) -> Asked| {
                let options = arguments.get(1);
                let value =
                    options.and_then(|options| Some((zend::deref(options), zend::deref(find(options, option)?))));
                value.map_or(Asked::Stands, |(options, value)| ask(options, value))
            };
            let commands = ask(b"commands", custom::ask);
            if matches!(commands, Asked::Thrown) {
                return;
            }
            let prefix = ask(b"prefix", prefix::ask);
            if matches!(prefix, Asked::Thrown) {
                commands.give_up();
                return;
            }
            let mut askers = Askers::default();
            let mut setting =
                |index| arguments.get(index).map_or(Setting::Null, |value| settings::read_with(value, &mut askers));
            let (parameters, mut options) = (setting(0), setting(1));
            commands.put(&mut options, "commands");
            prefix.put(&mut options, "prefix");
            let listener = arguments.get(1).and_then(|options| find(options, b"on_event"));
            let listener = match listener {
                Some(listener) if !is_callable(listener) => {
                    let given = settings::read(listener).describe();
                    let error = ConfigurationError::new("on_event", given, "a callable");
                    exceptions::throw_configuration(&error.to_string());
                    return;
                }
                other => other.copied(),
            };
            let configured = ini::defaults()
                .and_then(|defaults| configure(&parameters, &options, &defaults))
                .and_then(|configuration| Client::open(world().clone(), configuration));
            match configured {
                // PHP code has run since: of two fibers both may come here, and a client that is there may be in use.
                Ok(_) if is_constructed(call) => {}
                Ok(client) => {
                    let object = class::of(zend::this(call));
                    object.receive(Box::new(client));
                    askers.keep(zend::this(call));
                    if let Some(listener) = listener {
                        let former = std::mem::replace(object.listener(), zend::hold(&listener));
                        zend::release(former);
                    }
                }
                Err(error) => exceptions::throw_configuration(&error.to_string()),
            }
        }
    });
}

/// Whether the called object has its client already. That is thrown, too: a constructor runs once.
///
/// # Safety
/// `call` is the frame of a call to a method of our class.
unsafe fn is_constructed(call: *mut zend_execute_data) -> bool {
    // SAFETY: by the caller; the object is kept alive by the call.
    let constructed = unsafe { class::of(zend::this(call)) }.client.is_some();
    if constructed {
        exceptions::throw_misuse("", "this ResilientRedis is constructed already");
    }
    constructed
}

/// The element of an array value under a name.
fn find<'a>(array: &'a Value, wanted: &[u8]) -> Option<&'a Value> {
    let array = zend::deref(array);
    if zend::type_of(array) != zend::IS_ARRAY {
        return None;
    }
    // SAFETY: the type says that it is an array, and nothing changes it while we look.
    let mut elements = unsafe { Elements::of(array) };
    elements
        .find(|(key, _)| *key == Key::Name(wanted))
        .map(|(_, value)| value)
        .filter(|value| zend::type_of(value) != zend::IS_NULL)
}

/// Whether PHP could call this. It may load classes to find out.
pub fn is_callable(value: &Value) -> bool {
    let mut value = *value;
    // SAFETY: Zend looks at the value and leaves it as it is.
    unsafe { zend_is_callable(value.as_zval(), 0, std::ptr::null_mut()) }
}

/// Runs `body` with the client of the called object, if it was constructed.
///
/// # Safety
/// `call` is the frame of a call to a method of our class.
unsafe fn with_client<R>(call: *mut zend_execute_data, body: impl FnOnce(&mut Client) -> R) -> Option<R> {
    // SAFETY: by the caller; the object is kept alive by the call.
    let object = unsafe { class::of(zend::this(call)) };
    match object.client.as_deref_mut() {
        Some(client) => Some(body(client)),
        None => {
            unconstructed();
            None
        }
    }
}

/// A copy with another policy. As with a clone, a subclass's own properties come with it and its constructor does not run.
extern "C" fn with_options(call: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method with its frame, which keeps the object and the argument alive. Nothing with a
        // destructor is on the stack where Zend may leave by a jump: the client is a plain pointer until it is placed.
        unsafe {
            let Some(options) = zend::arguments(call).first().map(settings::read) else {
                exceptions::throw_misuse("withOptions", "withOptions takes an array of options");
                return;
            };
            let Some(copied) = with_client(call, |client| client.with_options(&options)) else { return };
            drop(options);
            match copied.map(|client| Box::into_raw(Box::new(client))) {
                Ok(client) => return_value.cast::<Value>().write(class::copy(zend::this(call), client)),
                Err(error) => exceptions::throw_configuration(&error.to_string()),
            }
        }
    });
}

extern "C" fn connect(call: *mut zend_execute_data, _: *mut zval) {
    guarded(|| {
        // SAFETY: Zend calls a method with its frame, which keeps the object alive.
        unsafe {
            if class::of(zend::this(call)).client.is_none() {
                unconstructed();
                return;
            }
            connect_now(zend::this(call));
        }
    });
}

/// Makes sure that a client has a connection. What goes wrong is thrown.
///
/// # Safety
/// The object is a live client that stays so, of which nothing is in use. PHP code may run: what gives credentials, and
/// the events.
pub unsafe fn connect_now(object: *mut zend_object) {
    // SAFETY: by the caller; the object is reached anew after PHP code has run.
    unsafe {
        while let Some(client) = class::of(object).client.as_deref_mut() {
            let result = client.connect(&mut hands().desk);
            if credentials::are_wanted(&result) {
                drop(result);
                if credentials::ask(object) {
                    continue;
                }
            } else if let Err(failure) = result {
                exceptions::throw(&failure);
            }
            credentials::done(object);
            break;
        }
        events::deliver(object);
    }
}

extern "C" fn disconnect(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `connect`.
    guarded(|| unsafe {
        with_client(call, |client| client.disconnect(&mut hands().desk));
    });
}

extern "C" fn is_connected(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `connect`; the return value is initialised and holds nothing.
    guarded(|| unsafe {
        if let Some(connected) = with_client(call, |client| client.is_connected()) {
            return_value.cast::<Value>().write(zend::boolean(connected));
        }
    });
}

extern "C" fn on_event(call: *mut zend_execute_data, _: *mut zval) {
    // SAFETY: as in `connect`; the former listener is given up after the new one stands in its place, since giving
    // it up may run PHP code.
    guarded(|| unsafe {
        let Some(listener) = zend::arguments(call).first().map(|value| *zend::deref(value)) else {
            exceptions::throw_misuse("onEvent", "onEvent takes a callable, or null to end it");
            return;
        };
        if zend::type_of(&listener) != zend::IS_NULL && !is_callable(&listener) {
            exceptions::throw_misuse("onEvent", "onEvent takes a callable, or null to end it");
            return;
        }
        let object = class::of(zend::this(call));
        let former = std::mem::replace(object.listener(), zend::hold(&listener));
        zend::release(former);
    });
}

extern "C" fn stats(_: *mut zend_execute_data, return_value: *mut zval) {
    guarded(|| {
        let pools = world().registry.status();
        let (idle, leased) = pools.iter().fold((0, 0), |sum, pool| (sum.0 + pool.idle, sum.1 + pool.leased));
        let mut connections = ArrayBuilder::new();
        connections
            .set("dialed", count(COUNTERS.dialed.get()))
            .set("opened", count(COUNTERS.opened.get()))
            .set("closed", count(COUNTERS.closed.get()))
            .set("idle", count(idle as u64))
            .set("leased", count(leased as u64));
        let mut listed = ArrayBuilder::new();
        for pool in &pools {
            let mut one = ArrayBuilder::new();
            one.set("node", zend::string(pool.node.to_string().as_bytes()))
                .set("database", count(u64::from(pool.database)))
                .set("idle", count(pool.idle as u64))
                .set("leased", count(pool.leased as u64));
            listed.push(one.build());
        }
        let status = world().registry.board().status();
        let mut board = ArrayBuilder::new();
        board
            .set("shared", zend::boolean(status.shared))
            .set("records", count(status.records as u64))
            .set("room", count(status.room as u64));
        let mut all = ArrayBuilder::new();
        all.set("commands", count(COUNTERS.commands.get()))
            .set("retries", count(COUNTERS.retries.get()))
            .set("waited", count(COUNTERS.waited.get()))
            .set("failovers", count(COUNTERS.failovers.get()))
            .set("unknown", count(COUNTERS.unknown.get()))
            .set("searches", count(COUNTERS.searches.get()))
            .set("connections", connections.build())
            .set("pools", listed.build())
            .set("board", board.build());
        // SAFETY: the return value is initialised and holds nothing.
        unsafe { return_value.cast::<Value>().write(all.build()) };
    });
}

extern "C" fn topology(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: as in `is_connected`.
    guarded(|| unsafe {
        let built = with_client(call, |client| {
            client.heed();
            let knowledge = client.deployment().knowledge();
            let endpoints: Vec<String> =
                client.configuration().endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            let primary = knowledge.primary().map(ToString::to_string);
            let watched = knowledge.watched();
            // The nodes behind sentinels say standalone of themselves; the deployment is more than one of them.
            let mode = watched.map_or_else(|| knowledge.mode(), |_| Mode::Sentinel).as_str();
            let mode = knowledge.primary().map(|_| mode);
            let shards = client.shards();
            let mode = match client.slot_map() {
                None => mode,
                Some(map) if map.is_ring() => Some("ring"),
                Some(_) => Some(Mode::Cluster.as_str()),
            };
            let sentinels: &[NodeAddress] = watched.map_or(&[], |watched| &watched.sentinels);
            let mut array = ArrayBuilder::new();
            array
                .set("mode", values::optional(mode))
                .set("primary", values::optional(primary.as_deref()))
                .set("replicas", list(knowledge.replicas()))
                .set("endpoints", list(&endpoints))
                .set("service", values::optional(watched.map(|watched| watched.service.as_str())))
                .set("sentinels", list(sentinels))
                .set("readers", readers(client))
                .set("epoch", count(knowledge.epoch()))
                .set("breaker", values::optional(Some(client.breaker())));
            if let Some(map) = client.slot_map() {
                array.set("shards", shards_of(&map, &shards));
            }
            array.build()
        });
        if let Some(array) = built {
            return_value.cast::<Value>().write(array);
        }
    });
}

/// The nodes that reads may go to, with what is known of each; of a cluster those of all its shards.
fn readers(client: &Client) -> Value {
    let mut list = ArrayBuilder::new();
    let deployments = client.shard_clients().map(Client::deployment).chain([client.deployment()]);
    for status in deployments.flat_map(|deployment| deployment.readers().status(world().clock.coarse())) {
        let seconds = |time: Option<Duration>| time.map_or_else(zend::null, |time| zend::double(time.as_secs_f64()));
        let mut one = ArrayBuilder::new();
        one.set("node", zend::string(status.node.to_string().as_bytes()))
            .set("lag", seconds(status.lag))
            .set("latency", seconds(status.latency))
            .set("why_not", values::optional(status.why_not.as_deref()));
        list.push(one.build());
    }
    list.build()
}

/// The shards of a cluster, and how many slots each serves; of a ring the nodes, and at how many points each stands.
fn shards_of(map: &SlotMap, shards: &[Shard]) -> Value {
    let mut list = ArrayBuilder::new();
    for (place, shard) in shards.iter().enumerate() {
        let mut one = ArrayBuilder::new();
        one.set("primary", values::optional(Some(&shard.primary.to_string())))
            .set("replicas", values::list(&shard.replicas))
            .set(if map.is_ring() { "points" } else { "slots" }, count(map.share_of(place) as u64));
        list.push(one.build());
    }
    list.build()
}

extern "C" fn reset_pools(_: *mut zend_execute_data, _: *mut zval) {
    guarded(|| world().registry.reset());
}
