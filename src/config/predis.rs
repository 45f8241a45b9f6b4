//! Predis' own options that choose implementations: there is one implementation here, which finds out what stands
//! behind an endpoint, so they are checked and mostly mean nothing more.

use super::error::ConfigurationError;
use super::numbers;
use super::setting::Setting;

/// `cluster`: whether one was asked for.
pub(super) fn cluster(value: &Setting) -> Result<bool, ConfigurationError> {
    match value {
        Setting::Bool(asked) => Ok(*asked),
        Setting::Text(word) if matches!(word.as_str(), "redis" | "redis-cluster" | "predis" | "predis-cluster") => {
            Ok(true)
        }
        _ => {
            let accepted = "'redis', 'redis-cluster', 'predis', 'predis-cluster', true, false";
            Err(ConfigurationError::about("cluster", value, accepted))
        }
    }
}

/// Whether option `cluster` asks for sharding by the client, where there are several nodes.
pub(super) fn is_ring(value: &Setting) -> bool {
    matches!(value, Setting::Text(word) if word.starts_with("predis"))
}

/// What `replication` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replication {
    /// Nothing.
    Unsaid,
    /// That the nodes are a primary and its replicas, which is found out in any case.
    Plain,
    /// That the nodes are sentinels.
    Sentinel,
}

/// `replication`: replicas are looked for in any case.
pub(super) fn replication(value: &Setting) -> Result<Replication, ConfigurationError> {
    match value {
        // The user's document writes `true` for a plain endpoint; it names no kind.
        Setting::Bool(_) => Ok(Replication::Unsaid),
        Setting::Text(word) if word == "predis" => Ok(Replication::Plain),
        Setting::Text(word) if word == "sentinel" || word == "redis-sentinel" => Ok(Replication::Sentinel),
        _ => {
            Err(ConfigurationError::about("replication", value, "true, false, 'predis', 'sentinel', 'redis-sentinel'"))
        }
    }
}

/// `service`: the name under which sentinels watch a primary.
pub(super) fn service(value: &Setting) -> Result<String, ConfigurationError> {
    match value {
        Setting::Text(name) => Ok(name.clone()),
        _ => Err(ConfigurationError::about("service", value, "the name of a Sentinel service")),
    }
}

/// `prefix`: what goes in front of every key. Callables and objects were asked for it before.
pub(super) fn prefix(value: &Setting) -> Result<String, ConfigurationError> {
    match value {
        Setting::Text(text) => Ok(text.clone()),
        Setting::Int(number) => Ok(number.to_string()),
        _ => {
            let accepted = "a string (UTF-8), a callable that gives one, or an object with getPrefix()";
            Err(ConfigurationError::about("prefix", value, accepted))
        }
    }
}

/// `update_sentinels`: whether sentinels that the given ones know of are asked, too.
pub(super) fn update_sentinels(value: &Setting) -> Result<bool, ConfigurationError> {
    numbers::truth(value).ok_or_else(|| ConfigurationError::about("update_sentinels", value, "true or false"))
}

/// `autodiscovery`: always on, whatever is said.
pub(super) fn autodiscovery(value: &Setting) -> Result<(), ConfigurationError> {
    match numbers::truth(value) {
        Some(_) => Ok(()),
        None => Err(ConfigurationError::about("autodiscovery", value, "true or false")),
    }
}

/// `exceptions`: whether error replies are thrown; otherwise they are returned.
pub(super) fn exceptions(value: &Setting) -> Result<bool, ConfigurationError> {
    numbers::truth(value).ok_or_else(|| ConfigurationError::about("exceptions", value, "true or false"))
}

/// Any option that this version does not have: refused, because ignoring it would change what the program does.
pub(super) fn not_available(option: &str, value: &Setting) -> ConfigurationError {
    ConfigurationError::new(option, value.kind(), "null; not available in this version")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Setting {
        Setting::Text(value.to_owned())
    }

    #[test]
    fn a_prefix_is_a_text() {
        assert_eq!(prefix(&text("app:")).as_deref(), Ok("app:"));
        assert_eq!(prefix(&Setting::Int(7)).as_deref(), Ok("7"));
        for wrong in [Setting::Bool(true), Setting::List(vec![text("a")]), Setting::Other("object of class X".into())] {
            let error = prefix(&wrong).unwrap_err();
            assert!(error.option() == "prefix" && error.accepted().contains("getPrefix()"), "{error}");
        }
    }

    #[test]
    fn the_words_for_clusters_are_predis_words() {
        for word in ["redis", "redis-cluster", "predis", "predis-cluster"] {
            assert_eq!(cluster(&text(word)), Ok(true));
        }
        assert_eq!(cluster(&Setting::Bool(false)), Ok(false));
        assert!(cluster(&text("rediss")).is_err() && cluster(&Setting::Other("closure".into())).is_err());
    }

    #[test]
    fn the_words_for_replication_are_predis_words() {
        assert_eq!(replication(&Setting::Bool(true)), Ok(Replication::Unsaid));
        assert_eq!(replication(&text("predis")), Ok(Replication::Plain));
        for word in ["sentinel", "redis-sentinel"] {
            assert_eq!(replication(&text(word)), Ok(Replication::Sentinel));
        }
        assert!(replication(&text("master")).unwrap_err().accepted().contains("'redis-sentinel'"));
    }

    #[test]
    fn error_replies_are_thrown_or_not() {
        assert!(exceptions(&Setting::Bool(true)) == Ok(true) && exceptions(&text("1")) == Ok(true));
        assert!(exceptions(&Setting::Bool(false)) == Ok(false) && exceptions(&text("maybe")).is_err());
    }

    #[test]
    fn service_and_autodiscovery_have_to_be_well_formed() {
        assert!(service(&text("mymaster")).is_ok() && service(&Setting::Int(1)).is_err());
        assert!(update_sentinels(&Setting::Bool(false)) == Ok(false) && update_sentinels(&text("x")).is_err());
        assert!(autodiscovery(&Setting::Bool(false)).is_ok() && autodiscovery(&text("x")).is_err());
    }
}
