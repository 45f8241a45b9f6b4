//! One node of a deployment as a client of its own (`getClientBy`), and the nodes of a client one by one (`foreach`).

use ext_php_rs::ffi::{zend_execute_data, zend_object, zval};

use crate::client::{Client, Failure};
use crate::command::SLOTS;
use crate::config::{DeclaredRole, NodeAddress, Setting};
use crate::topology::SlotMap;

use super::class;
use super::commands::{self, guarded, unconstructed};
use super::methods::connect_now;
use super::process::hands;
use super::settings;
use super::values::ArrayBuilder;
use super::zend::{self, Value};
use super::{called, command_object, exceptions};

/// Which node is wanted.
enum Wanted {
    Id,
    Alias,
    Primary,
    Replica,
    Sentinel,
    Slot(u16),
    /// By a key, with its prefix.
    Key(Vec<u8>),
    /// The primary of a shard, by its place.
    Place(usize),
}

/// `getClientBy($selector, $value)`
pub extern "C" fn get_client_by(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object and the arguments alive. Nothing with a
    // destructor is on the stack where Zend may leave by a jump: the client is a plain pointer until it is placed.
    guarded(|| unsafe {
        let object = zend::this(call);
        let Some([selector, value]) = called::exactly(call) else { return };
        let Some(selector) = text_of("selector", selector) else { return };
        if selector.eq_ignore_ascii_case("command") {
            drop(selector);
            client_by_command(object, value, return_value);
            return;
        }
        let Some(value) = text_of("value", value) else { return };
        let prefix = commands::prefix_of(object);
        let Some(wanted) = wanted(&selector, &value, prefix) else { return };
        if !learn(object) {
            return;
        }
        let Some(client) = class::of(object).client.as_deref() else { return };
        let serves = match wanted {
            Wanted::Key(_) => client.slot_map().is_some(),
            Wanted::Slot(_) => client.slot_map().is_some_and(|map| !map.is_ring()),
            _ => true,
        };
        if !serves {
            exceptions::throw_not_supported(&format!("getClientBy('{selector}', ...) needs a cluster"));
            return;
        }
        let Some((node, is_sentinel)) = find(client, &wanted, &value) else {
            let known = known(client).iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let accepted = format!("a node of this deployment, as far as it is known: {known}");
            refuse(&selector, &described(&value), &accepted);
            return;
        };
        let made = Box::into_raw(Box::new(client.at_node(&node, is_sentinel)));
        drop((selector, value, node));
        return_value.cast::<Value>().write(class::copy(object, made));
    });
}

/// The client of the node that a command object belongs to, by its keys.
///
/// # Safety
/// The object is a live client that stays so, of which nothing is in use, as is the value. PHP code may run.
unsafe fn client_by_command(object: *mut zend_object, value: &Value, return_value: *mut zval) {
    // SAFETY: by the caller. Nothing with a destructor is on the stack where Zend may leave by a jump.
    unsafe {
        let value = zend::deref(value);
        if zend::type_of(value) != zend::IS_OBJECT {
            refuse("command", &settings::read(value).describe(), "a command object, such as createCommand() gives");
            return;
        }
        if !learn(object) {
            return;
        }
        let Some(written) = command_object::write(object, value.value.obj) else { return };
        let found = match class::of(object).client.as_deref() {
            Some(client) if client.slot_map().is_some() => {
                client.place_by_keys(&hands().desk, written.row).map(|place| {
                    let (node, _) = find(client, &Wanted::Place(place?), "")?;
                    Some(Box::into_raw(Box::new(client.at_node(&node, false))))
                })
            }
            _ => Err(Failure::not_supported("", "getClientBy('command', ...) needs a cluster")),
        };
        written.release();
        match found {
            Ok(Some(made)) => return_value.cast::<Value>().write(class::copy(object, made)),
            Ok(None) => refuse("command", "one without keys", "a command whose keys lead to a node"),
            Err(failure) => exceptions::throw(&failure),
        }
    }
}

fn text_of(name: &str, value: &Value) -> Option<String> {
    let value = zend::deref(value);
    let text = match zend::type_of(value) {
        // SAFETY: the type says what it is.
        zend::IS_STRING => std::str::from_utf8(unsafe { zend::bytes_of(value) }).ok().map(str::to_owned),
        // SAFETY: as above.
        zend::IS_LONG => Some(unsafe { value.value.lval }.to_string()),
        _ => None,
    };
    if text.is_none() {
        let given = settings::read(value).describe();
        exceptions::throw_configuration(&format!("getClientBy: {name}: given {given}, accepted: a string"));
    }
    text
}

/// What is asked for. `None`, and that is thrown, if it cannot be had.
fn wanted(selector: &str, value: &str, prefix: &[u8]) -> Option<Wanted> {
    match selector.to_ascii_lowercase().as_str() {
        "id" => Some(Wanted::Id),
        "alias" => Some(Wanted::Alias),
        "role" => match value.to_ascii_lowercase().as_str() {
            "master" | "primary" => Some(Wanted::Primary),
            "slave" | "replica" => Some(Wanted::Replica),
            "sentinel" => Some(Wanted::Sentinel),
            _ => {
                refuse("role", &described(value), "'master', 'primary', 'slave', 'replica', 'sentinel'");
                None
            }
        },
        "key" => Some(Wanted::Key([prefix, value.as_bytes()].concat())),
        "slot" => {
            let slot = value.parse().ok().filter(|slot| usize::from(*slot) < SLOTS);
            if slot.is_none() {
                refuse("slot", &described(value), "a whole number from 0 to 16383");
            }
            slot.map(Wanted::Slot)
        }
        _ => {
            let accepted = "'id', 'role', 'alias', and 'key', 'slot', 'command' with a cluster";
            let given = described(selector);
            exceptions::throw_configuration(&format!("getClientBy: selector: given {given}, accepted: {accepted}"));
            None
        }
    }
}

fn described(text: &str) -> String {
    Setting::Text(text.to_owned()).describe()
}

fn refuse(selector: &str, given: &str, accepted: &str) {
    exceptions::throw_configuration(&format!(
        "getClientBy('{selector}', ...): value: given {given}, accepted: {accepted}"
    ));
}

/// Finds out who is primary, if that is not known. False if it was thrown that nobody is.
///
/// # Safety
/// The object is a live client that stays so, of which nothing is in use. PHP code may run: the events.
unsafe fn learn(object: *mut zend_object) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let Some(client) = class::of(object).client.as_deref_mut() else {
            unconstructed();
            return false;
        };
        client.heed();
        if client.deployment().epoch() != 0 || client.slot_map().is_some() {
            return true;
        }
        connect_now(object);
        !zend::has_exception()
    }
}

/// All nodes that hold data, as far as they are known: the primary first, or the primaries of a cluster.
fn known(client: &Client) -> Vec<NodeAddress> {
    let shards = client.shards();
    if !shards.is_empty() {
        let replicas = shards.iter().flat_map(|shard| shard.replicas.iter().cloned());
        return shards.iter().map(|shard| shard.primary.clone()).chain(replicas).collect();
    }
    let knowledge = client.deployment().knowledge();
    knowledge.primary().into_iter().chain(knowledge.replicas()).cloned().collect()
}

/// The node, and whether it is a sentinel.
fn find(client: &Client, wanted: &Wanted, value: &str) -> Option<(NodeAddress, bool)> {
    let knowledge = client.deployment().knowledge();
    let configuration = client.configuration();
    let is_declared = |role| move |endpoint: &&crate::config::Endpoint| endpoint.role == Some(role);
    let behind_sentinels = configuration.sentinel.declared || knowledge.watched().is_some();
    let sentinels = || {
        let found = knowledge.watched().map_or(&[][..], |watched| &watched.sentinels).iter();
        let given = configuration.endpoints.iter().filter(|_| behind_sentinels).map(|endpoint| &endpoint.address);
        found.chain(given).cloned()
    };
    let mut endpoints = configuration.endpoints.iter().chain(&configuration.reader);
    let shards = client.shards();
    let serving = |slot: &dyn Fn(&SlotMap) -> u16| {
        let map = client.slot_map()?;
        client.shard_at(map.shard_of(slot(&map))?).map(|shard| (shard.primary, false))
    };
    match wanted {
        Wanted::Place(place) => client.shard_at(*place).map(|shard| (shard.primary, false)),
        Wanted::Slot(slot) => serving(&|_| *slot),
        Wanted::Key(key) => serving(&|map| map.slot_of(key)),
        Wanted::Primary if !shards.is_empty() => Some((shards[0].primary.clone(), false)),
        Wanted::Replica if !shards.is_empty() => {
            shards.iter().flat_map(|shard| shard.replicas.first()).next().map(|node| (node.clone(), false))
        }
        Wanted::Primary => knowledge.primary().cloned().map(|node| (node, false)),
        Wanted::Replica => {
            let declared = endpoints.filter(is_declared(DeclaredRole::Replica)).map(|endpoint| &endpoint.address);
            let mut replicas = knowledge.replicas().iter().chain(declared);
            replicas.find(|node| knowledge.primary() != Some(node)).cloned().map(|node| (node, false))
        }
        Wanted::Sentinel => sentinels().next().map(|node| (node, true)),
        Wanted::Alias => {
            let named = endpoints.find(|endpoint| endpoint.alias.as_deref() == Some(value));
            named.map(|endpoint| {
                (endpoint.address.clone(), behind_sentinels && endpoint.role != Some(DeclaredRole::Replica))
            })
        }
        Wanted::Id => {
            let is_it = |node: &NodeAddress| node.to_string().eq_ignore_ascii_case(value);
            if let Some(sentinel) = sentinels().find(is_it) {
                return Some((sentinel, true));
            }
            let nodes = known(client).into_iter().chain(endpoints.map(|endpoint| endpoint.address.clone()));
            nodes.into_iter().find(is_it).map(|node| (node, false))
        }
    }
}

/// `getIterator()`: the nodes that hold a part of the data each. Of a cluster these are the primaries, each as a client
/// of that node. Otherwise it is one, the client itself, which follows its primary; replicas hold the same data once more.
pub extern "C" fn get_iterator(call: *mut zend_execute_data, return_value: *mut zval) {
    // SAFETY: Zend calls a method with its frame, which keeps the object alive. Nothing with a destructor is on the stack
    // where PHP code may run.
    guarded(|| unsafe {
        let object = zend::this(call);
        if !learn(object) {
            return;
        }
        let mut nodes = ArrayBuilder::new();
        for place in 0.. {
            // A copy may run PHP code, `__clone`, which may do anything with the client: it is looked at anew for each.
            let Some(client) = class::of(object).client.as_deref() else { break };
            let Some(shard) = client.shard_at(place) else {
                if place == 0 {
                    let Some(id) = known(client).first().map(ToString::to_string) else { return };
                    nodes.set(&id, zend::reference_to(object));
                }
                break;
            };
            let made = Box::into_raw(Box::new(client.at_node(&shard.primary, false)));
            let id = zend::string(shard.primary.to_string().as_bytes());
            drop(shard);
            nodes.set_bytes(zend::bytes_of(&id), class::copy(object, made));
            zend::release(id);
            if zend::has_exception() {
                zend::release(nodes.build());
                return;
            }
        }
        let (mut iterator, name) = (zend::null(), zend::string(b"__construct"));
        zend::object_init_ex(iterator.as_zval(), zend::spl_ce_ArrayIterator);
        let nothing = zend::call(Some(&iterator), &name, &mut [nodes.build()]);
        for value in [name, nothing] {
            zend::release(value);
        }
        return_value.cast::<Value>().write(iterator);
    });
}
